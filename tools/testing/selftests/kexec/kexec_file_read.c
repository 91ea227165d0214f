// SPDX-License-Identifier: GPL-2.0
/*
 * kexec_file_load(2) and files that misbehave while they are read: they fail half
 * way, have less than they promised, become shorter, or never answer. Each gets
 * an errno, nothing is held afterwards, and what was loaded stays.
 *
 * The files are served by this program itself, over /dev/fuse.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <linux/fuse.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <kselftest_harness.h>

#include "kexec_rows.h"

#define FOLDER "/tmp/kexec-fuse"
#define FILE_PATH FOLDER "/file"

#define FILE_SIZE KX_MIB
#define HALF (FILE_SIZE / 2)
#define NEVER (~0ULL)

/*
 * A file system with one file
 */

#define FILE_NODE 2
#define CACHE_SECONDS 3600
#define MAX_REQUEST (256 * 1024)

/**
 * struct server - serves a file that starts with @content, zeros after that
 * @dev: /dev/fuse
 * @size: what the file claims to have
 * @fails_at: reading from here on is an input/output error
 * @ends_at: there is nothing to read from here on
 * @piece: the most that one reply contains; less than asked for means the end,
 *	unless it is @direct
 * @hangs_after: replies to reads, until it looks at requests no more
 * @direct: the page cache is not used
 * @reads: replies to reads so far
 * @hangs: it has stopped, and somebody waits
 * @goes_on: it may go on
 */
struct server {
	int dev;
	pthread_t thread;
	const union kx_fake *content;
	u64 size;
	u64 fails_at;
	u64 ends_at;
	u64 piece;
	u64 hangs_after;
	bool direct;
	u64 reads;
	sem_t hangs;
	sem_t goes_on;
};

struct request {
	struct fuse_in_header head;
	char body[MAX_REQUEST];
};

static void reply(const struct server *s, const struct request *req, int err,
		  const void *data, size_t len)
{
	struct fuse_out_header out = {
		.len = sizeof(out) + len,
		.error = -err,
		.unique = req->head.unique,
	};
	struct iovec iov[] = {
		{ &out, sizeof(out) }, { (void *)data, len },
	};

	/* Whoever asked may be dead by now. */
	if (writev(s->dev, iov, len ? 2 : 1) < 0 && errno != ENOENT)
		kx_die("/dev/fuse refuses an answer: %s", strerror(errno));
}

static struct fuse_attr attributes(const struct server *s, u64 node)
{
	bool is_file = node == FILE_NODE;

	return (struct fuse_attr){
		.ino = node,
		.size = is_file ? s->size : 0,
		.mode = is_file ? S_IFREG | 0600 : S_IFDIR | 0700,
		.nlink = 1,
		.blksize = KX_PAGE,
	};
}

static void reply_init(const struct server *s, const struct request *req)
{
	const struct fuse_init_in *in = (const void *)req->body;
	struct fuse_init_out out = {
		.major = FUSE_KERNEL_VERSION,
		.minor = FUSE_KERNEL_MINOR_VERSION,
		.max_readahead = in->max_readahead,
		.flags = FUSE_ASYNC_READ,
		.max_background = 16,
		.congestion_threshold = 12,
		.max_write = KX_PAGE,
		.time_gran = 1,
	};

	reply(s, req, 0, &out, sizeof(out));
}

static void reply_lookup(const struct server *s, const struct request *req)
{
	struct fuse_entry_out out = {
		.nodeid = FILE_NODE,
		.entry_valid = CACHE_SECONDS,
		.attr_valid = CACHE_SECONDS,
		.attr = attributes(s, FILE_NODE),
	};
	bool known = !strcmp(req->body, "file");

	reply(s, req, known ? 0 : ENOENT, &out, known ? sizeof(out) : 0);
}

static void reply_getattr(const struct server *s, const struct request *req)
{
	struct fuse_attr_out out = {
		.attr_valid = CACHE_SECONDS,
		.attr = attributes(s, req->head.nodeid),
	};

	reply(s, req, 0, &out, sizeof(out));
}

/* Without flushing: whoever is killed could not close the file. */
static void reply_open(const struct server *s, const struct request *req)
{
	struct fuse_open_out out = {
		.open_flags = FOPEN_NOFLUSH | (s->direct ? FOPEN_DIRECT_IO : 0),
	};

	reply(s, req, 0, &out, sizeof(out));
}

static u64 least(u64 a, u64 b)
{
	return a < b ? a : b;
}

/* The bytes from @at on, in a buffer of @len */
static void fill(const struct server *s, char *buf, u64 at, u64 len)
{
	memset(buf, 0, len);
	if (at < sizeof(*s->content))
		memcpy(buf, s->content->bytes + at,
		       least(len, sizeof(*s->content) - at));
}

static void reply_read(struct server *s, const struct request *req)
{
	static char data[MAX_REQUEST];
	const struct fuse_read_in *in = (const void *)req->body;
	u64 end = least(s->size, s->ends_at);
	u64 len = in->offset < end ? least(in->size, end - in->offset) : 0;

	s->reads++;
	len = least(len, s->piece);
	if (in->offset + len > s->fails_at) {
		reply(s, req, EIO, NULL, 0);
		return;
	}
	fill(s, data, in->offset, len);
	reply(s, req, 0, data, len);
}

static void answer(struct server *s, const struct request *req)
{
	switch (req->head.opcode) {
	case FUSE_INIT:
		return reply_init(s, req);
	case FUSE_LOOKUP:
		return reply_lookup(s, req);
	case FUSE_GETATTR:
		return reply_getattr(s, req);
	case FUSE_OPEN:
		return reply_open(s, req);
	case FUSE_READ:
		return reply_read(s, req);
	case FUSE_RELEASE:
		return reply(s, req, 0, NULL, 0);
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
	case FUSE_INTERRUPT:
		return;
	default:
		return reply(s, req, EOPNOTSUPP, NULL, 0);
	}
}

/* A request that was not read from /dev/fuse can be killed with its caller. */
static void maybe_hang(struct server *s)
{
	struct pollfd pfd = { s->dev, POLLIN, 0 };

	if (s->reads < s->hangs_after)
		return;
	poll(&pfd, 1, -1);
	sem_post(&s->hangs);
	sem_wait(&s->goes_on);
	s->hangs_after = NEVER;
}

static void *serve(void *data)
{
	static struct request req;
	struct server *s = data;

	for (;;) {
		maybe_hang(s);
		if (read(s->dev, &req, sizeof(req)) > 0)
			answer(s, &req);
		else if (errno != EINTR && errno != ENOENT && errno != EAGAIN)
			return NULL;
	}
}

static void server_init(struct server *s, const union kx_fake *content)
{
	*s = (struct server){
		.dev = open("/dev/fuse", O_RDWR | O_CLOEXEC),
		.content = content,
		.size = FILE_SIZE,
		.fails_at = NEVER,
		.ends_at = NEVER,
		.piece = NEVER,
		.hangs_after = NEVER,
	};
	sem_init(&s->hangs, 0, 0);
	sem_init(&s->goes_on, 0, 0);
}

/* The file, open; as set up by now */
static int server_start(struct server *s)
{
	char options[128];
	int fd;

	mkdir(FOLDER, 0700);
	snprintf(options, sizeof(options),
		 "fd=%d,rootmode=40000,user_id=0,group_id=0,max_read=%d",
		 s->dev, MAX_REQUEST / 2);
	if (mount("kexec", FOLDER, "fuse", MS_NODEV | MS_NOSUID, options) ||
	    pthread_create(&s->thread, NULL, serve, s))
		kx_die("no file system of our own: %s", strerror(errno));
	fd = open(FILE_PATH, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		kx_die("cannot open " FILE_PATH ": %s", strerror(errno));
	return fd;
}

/* Nobody may hold the file any longer. */
static int server_stop(struct server *s)
{
	int err = umount2(FOLDER, 0) ? errno : 0;

	if (err)
		umount2(FOLDER, MNT_DETACH | MNT_FORCE);
	pthread_join(s->thread, NULL);
	close(s->dev);
	rmdir(FOLDER);
	return err;
}

/*
 * What is tested with it
 */

static const char initrd[KX_PAGE] = "an initrd";

static long load_old(void)
{
	static union kx_fake fake;
	int kernel;
	long ret;

	kx_fake_init(&fake);
	kernel = kx_memfd(&fake, sizeof(fake));
	ret = kx_file_load(kernel, -1, 0, NULL, KEXEC_FILE_NO_INITRAMFS);
	close(kernel);
	return ret;
}

/* A kernel whose header fits the file that it is in */
static void kernel_init(union kx_fake *fake, u64 size)
{
	kx_fake_init(fake);
	fake->hdr.syssize = (size - KX_FAKE_SETUP) / 16;
	fake->hdr.init_size = kx_page_up(size);
}

static void set_up(struct __test_metadata *_metadata)
{
	const char *unfit = kx_unfit();

	if (unfit)
		SKIP(return, "%s", unfit);
	if (!NEED("file", kx_have_file_load()))
		return;
	if (kx_loaded() && !kx_destructive())
		SKIP(return, "something is loaded, which these tests would unload");
	kx_unload();
}

/* A load of two files, one of which is served */
struct reading {
	struct server server;
	union kx_fake fake;
	int kernel;
	int initrd;
	bool started;
	unsigned long free_kb;
};

FIXTURE(fuse) {
	struct reading r;
};

FIXTURE_VARIANT(fuse) {
	bool initrd;
	bool direct;
};

FIXTURE_VARIANT_ADD(fuse, kernel) {
	.initrd = false,
	.direct = false,
};

FIXTURE_VARIANT_ADD(fuse, initrd) {
	.initrd = true,
	.direct = false,
};

FIXTURE_VARIANT_ADD(fuse, kernel_direct) {
	.initrd = false,
	.direct = true,
};

FIXTURE_VARIANT_ADD(fuse, initrd_direct) {
	.initrd = true,
	.direct = true,
};

FIXTURE_SETUP(fuse)
{
	set_up(_metadata);
	if (!NEED("fuse", !access("/dev/fuse", R_OK | W_OK)))
		return;
	kernel_init(&self->r.fake, FILE_SIZE);
	server_init(&self->r.server, &self->r.fake);
	self->r.server.direct = variant->direct;
}

/* The other file is a good one. */
static void start(struct reading *r, bool is_initrd)
{
	static union kx_fake good;
	int fd = server_start(&r->server);

	kx_fake_init(&good);
	r->kernel = is_initrd ? kx_memfd(&good, sizeof(good)) : fd;
	r->initrd = is_initrd ? fd : kx_memfd(initrd, sizeof(initrd));
	r->started = true;
	r->free_kb = kx_free_kb();
}

static void stop(struct __test_metadata *_metadata, struct reading *r)
{
	kx_unload();
	if (!r->started)
		return;
	close(r->kernel);
	close(r->initrd);
	EXPECT_EQ(0, server_stop(&r->server));
	EXPECT_TRUE(kx_free_again(r->free_kb, TOLERANCE_KB));
}

FIXTURE_TEARDOWN(fuse)
{
	stop(_metadata, &self->r);
}

static long attempt(struct reading *r)
{
	return kx_file_load(r->kernel, r->initrd, 0, NULL, 0);
}

static void fails(struct __test_metadata *_metadata, struct reading *r,
		  bool is_initrd, int err)
{
	start(r, is_initrd);
	ASSERT_EQ(0, load_old());
	EXPECT_EQ(-err, attempt(r));
	EXPECT_EQ(1, kx_loaded());
	EXPECT_EQ(0, kx_unload());
}

#define FAILS(err) fails(_metadata, &self->r, variant->initrd, err)

ROW(fuse, whole)
{
	start(&self->r, variant->initrd);
	EXPECT_EQ(0, attempt(&self->r));
	EXPECT_EQ(1, kx_loaded());
	EXPECT_EQ(0, attempt(&self->r));
}

ROW(fuse, error_half_way)
{
	self->r.server.fails_at = HALF;
	FAILS(EIO);
}

ROW(fuse, error_at_once)
{
	self->r.server.fails_at = 0;
	FAILS(EIO);
}

ROW(fuse, error_at_the_end)
{
	self->r.server.fails_at = FILE_SIZE - 1;
	FAILS(EIO);
}

ROW(fuse, ends_half_way)
{
	self->r.server.ends_at = HALF;
	FAILS(EIO);
}

ROW(fuse, ends_within_a_page)
{
	self->r.server.ends_at = HALF + 5;
	FAILS(EIO);
}

/* Who looks into it twice finds it empty the second time. */
ROW(fuse, ends_at_once)
{
	long ret;

	self->r.server.ends_at = 0;
	start(&self->r, variant->initrd);
	ASSERT_EQ(0, load_old());
	ret = attempt(&self->r);
	EXPECT_TRUE(ret == -EIO || ret == -EINVAL)
		TH_LOG("the answer is %ld", ret);
	EXPECT_EQ(1, kx_loaded());
}

ROW(fuse, lacks_a_byte)
{
	self->r.server.ends_at = FILE_SIZE - 1;
	FAILS(EIO);
}

/* Row 9: it is refused by its size, and not read. */
ROW(fuse, too_large_is_not_read)
{
	struct kx_ranges ram;

	kx_system_ram(&ram);
	self->r.server.size = kx_total(&ram) * 5 / 4;
	if (!NEED("small", self->r.server.size < 4 * KX_GIB))
		return;
	FAILS(ENOMEM);
	EXPECT_EQ(0, self->r.server.reads);
}

/* Row 8, the same */
ROW(fuse, larger_than_four_gib_is_not_read)
{
	self->r.server.size = 4 * KX_GIB + 1;
	FAILS(EFBIG);
	EXPECT_EQ(0, self->r.server.reads);
}

static pid_t load_in_child(struct reading *r)
{
	pid_t pid = fork();

	if (!pid) {
		attempt(r);
		_exit(0);
	}
	return pid;
}

static bool wait_for(sem_t *sem, unsigned int seconds)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	ts.tv_sec += seconds;
	return !sem_timedwait(sem, &ts);
}

static int write_errno(void)
{
	int fd = open(FILE_PATH, O_WRONLY);

	if (fd < 0)
		return errno;
	close(fd);
	return 0;
}

/* A read that never ends is no reason not to die, nor to stay busy. */
static void killed(struct __test_metadata *_metadata, struct reading *r,
		   u64 reads, bool is_initrd)
{
	pid_t pid;

	r->server.hangs_after = NEVER;
	start(r, is_initrd);
	ASSERT_EQ(0, load_old());
	r->server.hangs_after = r->server.reads + reads;
	pid = load_in_child(r);
	EXPECT_TRUE(wait_for(&r->server.hangs, 10 * kx_slowness()));
	EXPECT_EQ(-EBUSY, kx_unload());
	EXPECT_EQ(-EBUSY, load_old());
	EXPECT_EQ(1, kx_loaded());
	EXPECT_EQ(ETXTBSY, write_errno());
	EXPECT_GT(PROMPT_NS, kill_child(pid));
	EXPECT_EQ(1, kx_loaded());
	EXPECT_EQ(0, load_old());
	EXPECT_EQ(0, kx_unload());
	sem_post(&r->server.goes_on);
	EXPECT_EQ(0, write_errno());
	EXPECT_EQ(0, attempt(r));
	EXPECT_EQ(1, kx_loaded());
}

ROW(fuse, killed_half_way)
{
	killed(_metadata, &self->r, 3, variant->initrd);
}

ROW(fuse, killed_at_once)
{
	killed(_metadata, &self->r, 0, variant->initrd);
}

/* A short answer is not the end: there is more when asked again. */
FIXTURE(pieces) {
	struct reading r;
};

FIXTURE_SETUP(pieces)
{
	set_up(_metadata);
	if (!NEED("fuse", !access("/dev/fuse", R_OK | W_OK)))
		return;
	kernel_init(&self->r.fake, FILE_SIZE);
	server_init(&self->r.server, &self->r.fake);
	self->r.server.direct = true;
}

FIXTURE_TEARDOWN(pieces)
{
	stop(_metadata, &self->r);
}

ROW(pieces, kernel)
{
	self->r.server.piece = 5003;
	start(&self->r, false);
	EXPECT_EQ(0, attempt(&self->r));
	EXPECT_LT(FILE_SIZE / 5003, self->r.server.reads);
}

ROW(pieces, initrd)
{
	self->r.server.piece = 5003;
	start(&self->r, true);
	EXPECT_EQ(0, attempt(&self->r));
	EXPECT_LT(FILE_SIZE / 5003, self->r.server.reads);
}

/*
 * A file in memory that is made shorter and longer again all the time
 */

#define LONG_SIZE (8 * KX_MIB)
#define SHORT_SIZE (1 * KX_MIB)
#define TRIES 500

struct changing_file {
	int fd;
	bool stop;
	pthread_t thread;
};

FIXTURE(changing) {
	struct changing_file file;
	int other;
};

FIXTURE_VARIANT(changing) {
	bool initrd;
};

FIXTURE_VARIANT_ADD(changing, kernel) {
	.initrd = false,
};

FIXTURE_VARIANT_ADD(changing, initrd) {
	.initrd = true,
};

static void *change(void *data)
{
	struct changing_file *file = data;

	while (!__atomic_load_n(&file->stop, __ATOMIC_RELAXED)) {
		if (ftruncate(file->fd, SHORT_SIZE))
			kx_die("cannot make a file shorter");
		usleep(1000);
		if (ftruncate(file->fd, LONG_SIZE))
			kx_die("cannot make a file longer");
		usleep(1000);
	}
	return NULL;
}

FIXTURE_SETUP(changing)
{
	static union kx_fake fake, good;

	set_up(_metadata);
	kernel_init(&fake, LONG_SIZE);
	self->file.fd = kx_memfd(&fake, sizeof(fake));
	ASSERT_EQ(0, ftruncate(self->file.fd, LONG_SIZE));
	kx_fake_init(&good);
	self->other = kx_memfd(&good, sizeof(good));
}

FIXTURE_TEARDOWN(changing)
{
	kx_unload();
}

/*
 * Either size is an image, for a kernel the longer one alone. What has grown no
 * longer has a place.
 */
static bool is_an_answer(long ret, bool is_initrd)
{
	return !ret || ret == -EIO || ret == -EFBIG ||
	       (ret == -ENOEXEC && !is_initrd);
}

ROW(changing, while_it_is_read)
{
	unsigned int i, cut = 0;
	unsigned long free_kb = kx_free_kb();
	long ret;

	ASSERT_EQ(0, load_old());
	ASSERT_EQ(0, pthread_create(&self->file.thread, NULL, change, &self->file));
	for (i = 0; i < TRIES && cut < 3; i++) {
		ret = variant->initrd ?
		      kx_file_load(self->other, self->file.fd, 0, NULL, 0) :
		      kx_file_load(self->file.fd, self->other, 0, NULL, 0);
		EXPECT_TRUE(is_an_answer(ret, variant->initrd))
			TH_LOG("try %u: %ld", i, ret);
		EXPECT_EQ(1, kx_loaded());
		cut += ret == -EIO;
	}
	__atomic_store_n(&self->file.stop, true, __ATOMIC_RELAXED);
	pthread_join(self->file.thread, NULL);
	TH_LOG("cut short %u times in %u", cut, i);
	EXPECT_LT(0U, cut);
	EXPECT_EQ(0, kx_unload());
	EXPECT_TRUE(kx_free_again(free_kb, TOLERANCE_KB));
}

TEST_HARNESS_MAIN
