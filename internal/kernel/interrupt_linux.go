package kernel

import "syscall"

// interruptChildren does what a terminal does on Ctrl-C: it signals the
// kernel's descendants in the kernel's own process group. While Python is
// in os.system it ignores the signal itself, and only its child can end the call.
// The Spark driver and its workers have groups of their own. It reports whether there was anybody to signal.
func interruptChildren(pid int) (any bool) {
	queue := children(pid)
	for n := 0; len(queue) > 0 && n < 1000; n++ {
		child := queue[0]
		queue = append(queue[1:], children(child)...)
		p, err := openPID(child)
		if err != nil {
			continue
		}
		if st, err := readStat(child); err == nil && st.group == pid {
			p.signal(syscall.SIGINT)
			any = true
		}
		p.close()
	}
	return any
}
