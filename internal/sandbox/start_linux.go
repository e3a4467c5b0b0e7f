package sandbox

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// Attr is how the stage is started: with the namespaces that it cannot make
// itself, because Go has several threads.
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
		// A user namespace in which we are who we are, and may mount.
		attr.Cloneflags |= unix.CLONE_NEWUSER
		attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: uid, HostID: uid, Size: 1}}
		attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: gid, HostID: gid, Size: 1}}
		attr.AmbientCaps = []uintptr{unix.CAP_SYS_ADMIN}
	}
	return attr
}
