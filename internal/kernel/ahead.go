package kernel

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/ergane-dev/ergane/internal/durable"
)

// Ahead makes a kernel one that is started before there is a session for it:
// it warms Spark up and then waits for Claim, before which it takes no calculation.
type Ahead struct {
	// Shape says which sessions the kernel may be claimed for. Only the server knows what it means; it is kept for the next server.
	Shape string
	// Store is the prefix of the s3:// folder to warm up in; empty: none.
	Store string
	// Catalog says whether to warm up the configured catalog, too.
	Catalog bool
}

const (
	aheadFile   = "ahead.json"
	claimFile   = "claim.json"   // in the work folder: the session that claims the kernel
	claimedFile = "claimed.json" // likewise: whether Spark accepted the session's configuration
	deadManFile = "deadman.json" // of a claimed kernel: how long it lives without a server, if that differs from what the shim was told
)

type aheadDocument struct {
	V     int    `json:"v"`
	Shape string `json:"shape"`
	At    int64  `json:"at"` // when it was started, in milliseconds
}

func (a *Ahead) record(root *os.Root) error {
	return writeDurable(root, aheadFile, aheadDocument{V: protocolVersion, Shape: a.Shape, At: time.Now().UnixMilli()})
}

// ReadAhead returns the shape of a kernel that was started ahead in a session
// folder, and when it was started; false if it was not started ahead. Claimed
// says whether it has been claimed.
func ReadAhead(dir string) (shape string, at time.Time, ok bool) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return "", time.Time{}, false
	}
	defer root.Close()
	d, err := readDocument(root, aheadFile, func(b []byte) (d aheadDocument, err error) {
		return d, json.Unmarshal(b, &d)
	})
	if err != nil || d.V != protocolVersion {
		return "", time.Time{}, false
	}
	return d.Shape, time.UnixMilli(d.At), true
}

// A Claim tells a kernel that was started ahead about its session.
type Claim struct {
	Facts Facts
	// Spark is the whole configuration of the session's context.
	Spark map[string]string
	// DeadMan is how long the kernel lives without a server; 0: as it was started.
	DeadMan time.Duration
}

// Claim gives a kernel that was started ahead to a session, and returns when
// it takes the session's calculations. Repeating it is harmless. The error is a
// *SparkError when Spark refuses what the session asks for, and a *GoneError
// when the kernel has ended.
func (k *Kernel) Claim(ctx context.Context, c Claim) error {
	if err := k.Ready(ctx); err != nil {
		return err
	}
	var hurrying sync.WaitGroup
	hurrying.Go(k.hurry)
	defer hurrying.Wait()
	// Written first, because it says that the kernel is claimed. Not durable: after a crash of the machine there is no kernel.
	if err := writeFile(k.root, deadManFile, deadManDocument{V: protocolVersion, Seconds: c.DeadMan.Seconds()}); err != nil {
		return fmt.Errorf("claim kernel: %w", err)
	}
	if err := k.spool.writeClaim(c, sessionOf(k.dir)); err != nil {
		return fmt.Errorf("claim kernel: %w", err)
	}
	ctx, cancel := k.during(ctx)
	defer cancel()
	ordered := false
	for {
		woken, gone := k.pulse.next(), k.gone()
		refusal, err := readDocument(k.spool.root, claimedFile, parseReady)
		switch {
		case err == nil && refusal != nil:
			return refusal
		case gone:
			return &GoneError{Exit: k.exit}
		case err == nil:
			return nil
		}
		if !ordered {
			if ordered, err = k.orderClaim(ctx); err != nil {
				return fmt.Errorf("claim kernel: %w", err)
			}
			continue // the answer may have been written meanwhile
		}
		if pause(ctx, rereadEvery, woken, k.done); ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
}

// orderClaim tells the kernel to read its claim; false if it did not answer in time.
func (k *Kernel) orderClaim(ctx context.Context) (bool, error) {
	limited, cancel := context.WithTimeout(ctx, resendEvery)
	defer cancel()
	f, err := k.call(limited, order{Op: "claim"})
	switch {
	case ctx.Err() != nil:
		return false, context.Cause(ctx)
	case err != nil && limited.Err() != nil:
		return false, nil
	case err != nil:
		return false, err
	case f.Err != "":
		return false, fmt.Errorf("the kernel answers %q", clip(f.Err, 100))
	}
	return true, nil
}

type claimDocument struct {
	V     int               `json:"v"`
	Facts factsDocument     `json:"facts"`
	Spark map[string]string `json:"spark"`
}

// writeClaim writes the claim for the kernel, atomically.
func (s *Spool) writeClaim(c Claim, session string) error {
	b, err := json.Marshal(claimDocument{protocolVersion, c.Facts.document(), c.Spark})
	if err != nil {
		return err
	}
	if there, err := readSmall(s.root, claimFile); err == nil && bytes.Equal(there, b) {
		return nil
	}
	return s.put(claimFile, b)
}

type deadManDocument struct {
	V       int     `json:"v"`
	Seconds float64 `json:"seconds"`
}

// deadManOf reads how long a claimed kernel lives without a server; 0 if it was not claimed.
func deadManOf(root *os.Root) time.Duration {
	d, err := readDocument(root, deadManFile, func(b []byte) (d deadManDocument, err error) {
		return d, json.Unmarshal(b, &d)
	})
	if err != nil || d.V != protocolVersion || d.Seconds <= 0 {
		return 0
	}
	return time.Duration(d.Seconds * float64(time.Second))
}

// writeFile is writeDurable without waiting for the disk.
func writeFile(root *os.Root, name string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	f, err := durable.Create(root, name)
	if err != nil {
		return err
	}
	return f.Put(b)
}

// Claimed reports whether the kernel of a session folder was ever claimed: if
// so, it may have run a user's code.
func Claimed(dir string) bool {
	_, err := os.Lstat(filepath.Join(dir, deadManFile)) // the server's: the kernel cannot reach it
	return !errors.Is(err, fs.ErrNotExist)
}
