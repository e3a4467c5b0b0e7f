package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/ergane-dev/ergane/internal/credentials"
	"github.com/ergane-dev/ergane/internal/datadir"
	"github.com/ergane-dev/ergane/internal/flock"
	"github.com/ergane-dev/ergane/internal/server"
)

// exitIdle is how long a server that `run` started waits for another client.
const exitIdle = 3 * time.Second

// answerWithin is how long findServer waits for a server that does not answer.
const answerWithin = 30 * time.Second

// findServer returns a client of the server on the data dir; if none runs, it
// starts one, with additional flags. It returns when sessions can start.
func findServer(ctx context.Context, d dirs, flags []string, say *speaker) (*client, error) {
	defer say.done()
	if err := datadir.Make(d.DataDir); err != nil {
		return nil, err
	}
	var child *exited
	var silent time.Time // since when the server that holds the lock does not answer
	for {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		held, err := flock.Held(datadir.Lock(d.DataDir))
		if err != nil {
			return nil, fmt.Errorf("look for a server: %w", err)
		}
		info, ok, err := datadir.ReadServer(d.DataDir)
		if err != nil {
			return nil, err
		}
		if held && ok { // without the lock, it is the record of a dead server
			ready, err := askReady(ctx, info)
			if err == nil {
				silent = time.Time{}
			}
			switch {
			case errors.As(err, new(*tls.CertificateVerificationError)):
				return nil, fmt.Errorf("the server's certificate is not trusted for %s: %w", info.API, err)
			case err != nil: // it is shutting down, or hangs
				if silent.IsZero() {
					silent = time.Now()
				}
				if time.Since(silent) > answerWithin {
					return nil, fmt.Errorf("process %d serves the data folder but does not answer at %s: %w", info.PID, info.API, err)
				}
			case ready.Error != "":
				return nil, errors.New(ready.Error)
			case ready.Ready:
				keys, err := credentials.OpenExisting(d.DataDir)
				if err != nil {
					return nil, err
				}
				return newClient(info, keys.Root())
			default:
				say.progress(ready.What, ready.Detail)
			}
		}
		switch {
		case held: // a server runs, starts or stops
		case child == nil:
			if child, err = startServer(d, flags); err != nil {
				return nil, err
			}
		default:
			if over, why := child.over(); over {
				if why != "" {
					return nil, errors.New(why)
				}
				child = nil // another server was faster, and has ended since
			}
		}
		select {
		case <-ctx.Done():
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// askReady asks a server whether sessions can start.
func askReady(ctx context.Context, info datadir.Server) (server.Readiness, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	var r server.Readiness
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, info.API+"/readyz", nil)
	if err != nil {
		return r, err
	}
	hc, err := httpClient(info)
	if err != nil {
		return r, err
	}
	defer hc.CloseIdleConnections()
	res, err := hc.Do(req)
	if err != nil {
		return r, err
	}
	defer res.Body.Close()
	return r, json.NewDecoder(res.Body).Decode(&r)
}

// exited watches a server that this process started.
type exited struct {
	log  string
	from int64 // where its lines in the log begin
	done chan struct{}
}

// over reports whether the server has ended, and its last error message.
func (e *exited) over() (bool, string) {
	select {
	case <-e.done:
	default:
		return false, ""
	}
	return true, lastError(e.log, e.from)
}

// startServer starts a server that ends by itself when nobody needs it. It has
// no terminal: Ctrl-C does not reach it.
func startServer(d dirs, flags []string) (*exited, error) {
	path := filepath.Join(d.DataDir, "serve.log")
	log, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the server's log: %w", err)
	}
	defer log.Close()
	at, err := log.Seek(0, 2)
	if err != nil {
		return nil, fmt.Errorf("open the server's log: %w", err)
	}
	args := []string{"serve", "--exit-idle", exitIdle.String(), "--listen", "127.0.0.1:0", "--s3-listen", "127.0.0.1:0",
		"--data-dir", d.DataDir, "--engine-dir", d.EngineDir, "--log-file", path}
	cmd := exec.Command(datadir.Self, append(args, flags...)...)
	cmd.Args[0] = "ergane"
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start a server: %w", err)
	}
	e := &exited{log: path, from: at, done: make(chan struct{})}
	go func() {
		_ = cmd.Wait() // its log says why it ended
		close(e.done)
	}()
	return e, nil
}

// lastError is the error with which a server ended, from its log; empty if it
// found another server on the data dir.
func lastError(path string, from int64) string {
	f, err := os.Open(path)
	if err != nil {
		return "the server ended at once, and its log cannot be read: " + err.Error()
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.Size() < from {
		from = 0 // it was rotated
	}
	if _, err := f.Seek(from, 0); err != nil {
		return "the server ended at once; see " + path
	}
	return finalError(f, path)
}
