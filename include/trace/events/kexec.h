/* SPDX-License-Identifier: GPL-2.0 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM kexec

#if !defined(_TRACE_KEXEC_H) || defined(TRACE_HEADER_MULTI_READ)
#define _TRACE_KEXEC_H

#include <linux/kexec.h>
#include <linux/tracepoint.h>

/*
 * The end of each phase of a load, also of one that fails: check, place, fill,
 * seal.
 */
TRACE_EVENT(kexec_phase,
	    TP_PROTO(const char *phase, u64 ns, int error),
	    TP_ARGS(phase, ns, error),

	    TP_STRUCT__entry(__string(phase, phase)
			     __field(u64, ns)
			     __field(int, error)),

	    TP_fast_assign(__assign_str(phase);
			   __entry->ns = ns;
			   __entry->error = error;),

	    TP_printk("phase=%s ns=%llu error=%d",
		      __get_str(phase), __entry->ns, __entry->error)
);

/* A load that succeeded. Sizes are in bytes, times in nanoseconds. */
TRACE_EVENT(kexec_load,
	    TP_PROTO(const struct kimage *image, unsigned long runs),
	    TP_ARGS(image, runs),

	    TP_STRUCT__entry(__field(unsigned int, type)
			     __field(unsigned int, segments)
			     __field(unsigned long, runs)
			     __field_struct(struct kexec_stats, stats)),

	    TP_fast_assign(__entry->type = image->type;
			   __entry->segments = image->nr_segments;
			   __entry->runs = runs;
			   __entry->stats = image->stats;),

	    TP_printk("type=%s segments=%u pieces=%lu content=%llu home=%llu move=%llu zero=%llu runs=%lu check_ns=%llu place_ns=%llu fill_ns=%llu seal_ns=%llu",
		      __entry->type == KEXEC_TYPE_CRASH ? "crash" : "default",
		      __entry->segments, __entry->stats.pieces,
		      __entry->stats.content, __entry->stats.home,
		      __entry->stats.move, __entry->stats.zero, __entry->runs,
		      __entry->stats.check_ns, __entry->stats.place_ns,
		      __entry->stats.fill_ns, __entry->stats.seal_ns)
);

/* The image is checked; nothing refuses the jump from here on. */
TRACE_EVENT(kexec_jump,
	    TP_PROTO(const struct kimage *image),
	    TP_ARGS(image),

	    TP_STRUCT__entry(__field(unsigned int, type)
			     __field(unsigned long, entry)
			     __field(u64, move)
			     __field(u64, zero)),

	    TP_fast_assign(__entry->type = image->type;
			   __entry->entry = image->start;
			   __entry->move = image->stats.move;
			   __entry->zero = image->stats.zero;),

	    TP_printk("type=%s entry=0x%lx move=%llu zero=%llu",
		      __entry->type == KEXEC_TYPE_CRASH ? "crash" : "default",
		      __entry->entry, __entry->move, __entry->zero)
);

#endif /* _TRACE_KEXEC_H */

#include <trace/define_trace.h>
