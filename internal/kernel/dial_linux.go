package kernel

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// dialKernel connects to the socket in a work folder and makes sure that the
// process pid is the one that listens there.
func dialKernel(ctx context.Context, work *os.Root, pid int) (net.Conn, error) {
	folder, err := work.Open(".")
	if err != nil {
		return nil, err
	}
	defer folder.Close()
	raw, err := folder.SyscallConn()
	if err != nil {
		return nil, err
	}
	var conn net.Conn
	var dialed error
	// By the folder's descriptor, because a socket's address has at most 108 bytes and a session's path may be longer.
	if err := raw.Control(func(fd uintptr) {
		var d net.Dialer
		conn, dialed = d.DialContext(ctx, "unix", fmt.Sprintf("/proc/self/fd/%d/%s", fd, socketFile))
	}); err != nil {
		return nil, err
	}
	if dialed != nil {
		return nil, dialed
	}
	peer, err := peerPID(conn.(*net.UnixConn))
	if err == nil && peer != pid {
		err = fmt.Errorf("process %d listens on the socket of kernel %d", peer, pid)
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}

func peerPID(conn *net.UnixConn) (int, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0, err
	}
	var cred *unix.Ucred
	var asked error
	err = raw.Control(func(fd uintptr) {
		cred, asked = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	})
	if err := errors.Join(err, asked); err != nil {
		return 0, err
	}
	return int(cred.Pid), nil
}
