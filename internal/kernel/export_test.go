package kernel

// PID is the kernel's process number.
func (k *Kernel) PID() int { return k.handle.PID }
