package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
)

// listen opens a server's socket. Port 0 takes the port that the file kept
// keeps from the last time, or a free one, which it then keeps: sessions that
// live on go on using it.
func listen(addr, kept string) (net.Listener, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", addr, err)
	}
	if port == "0" {
		if raw, err := os.ReadFile(kept); err == nil {
			if l, err := net.Listen("tcp", net.JoinHostPort(host, strings.TrimSpace(string(raw)))); err == nil {
				return l, nil
			}
		}
	}
	l, err := net.Listen("tcp", addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, inUse(addr, "--listen")
	}
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	if port == "0" {
		_, got, _ := net.SplitHostPort(l.Addr().String())
		if err := os.WriteFile(kept, []byte(got+"\n"), 0o600); err != nil {
			l.Close()
			return nil, fmt.Errorf("keep the port: %w", err)
		}
	}
	return l, nil
}

func inUse(addr, flag string) error {
	return fmt.Errorf("%s is in use by another program; choose another address with %s, for instance 127.0.0.1:0 for any free port", addr, flag)
}
