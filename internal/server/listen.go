package server

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/ergane-dev/ergane/internal/datadir"
)

// listen opens a server's socket. Port 0 takes the port that the file kept
// keeps from the last time, or a free one, which it then keeps: sessions that
// outlive the server go on using it.
func listen(addr, kept string) (net.Listener, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", addr, err)
	}
	if port == "0" {
		if raw, err := os.ReadFile(kept); err == nil {
			last := strings.TrimSpace(string(raw))
			if n, err := strconv.ParseUint(last, 10, 16); err == nil && n > 0 {
				if l := listenAgain(net.JoinHostPort(host, last)); l != nil {
					return l, nil
				}
				slog.Warn("another program has the port of the last server; sessions from before may not find this one", "port", n)
			}
		}
		if l := lowListen(host); l != nil {
			return keep(l, kept)
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
		return keep(l, kept)
	}
	return l, nil
}

// listenAgain listens on the address of an earlier socket; nil if another process
// has it. A process that was being started when the earlier socket was closed has
// a copy of it, for a moment.
func listenAgain(addr string) net.Listener {
	for range 25 {
		l, err := net.Listen("tcp", addr)
		if err == nil {
			return l
		}
		if !errors.Is(err, syscall.EADDRINUSE) {
			return nil
		}
		time.Sleep(20 * time.Millisecond)
	}
	return nil
}

// lowListen takes a port below those that systems give to outgoing connections,
// so that none of these has it when the next server needs it again. It is nil if
// no port is free.
func lowListen(host string) net.Listener {
	const lowest, ports = 20_000, 10_000
	for range 20 {
		l, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(lowest+rand.IntN(ports))))
		if err == nil {
			return l
		}
	}
	return nil
}

// keep writes the socket's port to a file for the next server.
func keep(l net.Listener, kept string) (net.Listener, error) {
	_, port, _ := net.SplitHostPort(l.Addr().String())
	if err := datadir.WriteJSON(kept, json.Number(port)); err != nil {
		l.Close()
		return nil, fmt.Errorf("keep the port: %w", err)
	}
	return l, nil
}

func inUse(addr, flag string) error {
	return fmt.Errorf("%s is in use by another program; choose another address with %s, for instance 127.0.0.1:0 for any free port", addr, flag)
}
