package sandbox

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// Attr are the attributes to start the stage with: the namespaces, which it cannot
// create itself, because a Go program has several threads.
func (p Policy) Attr() *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if !p.Mounts {
		return attr
	}
	attr.Cloneflags = unix.CLONE_NEWNS | unix.CLONE_NEWIPC
	if p.Pids {
		attr.Cloneflags |= unix.CLONE_NEWPID
	}
	if uid, gid := os.Geteuid(), os.Getegid(); uid != 0 {
		// A user namespace with the same user, which may mount there.
		attr.Cloneflags |= unix.CLONE_NEWUSER
		attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: uid, HostID: uid, Size: 1}}
		attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: gid, HostID: gid, Size: 1}}
		attr.AmbientCaps = []uintptr{unix.CAP_SYS_ADMIN}
	}
	return attr
}
