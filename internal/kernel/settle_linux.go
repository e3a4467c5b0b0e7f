package kernel

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/ergane-dev/ergane"
	"github.com/ergane-dev/ergane/internal/child"
	"github.com/ergane-dev/ergane/internal/flock"
	"github.com/ergane-dev/ergane/internal/sandbox"
)

// settleLimit is how long a shim may take to clean up after its kernel.
const settleLimit = 15 * time.Second

// settle waits, after the kernel's death, until its shim has cleaned up and
// has ended, and reads what it recorded. Where the shim cannot do its work any
// more, it is done here. shim may be nil for one that is gone.
func settle(ctx context.Context, dir string, root *os.Root, h Handle, shim *child.Process) ergane.Exit {
	if shim != nil {
		shim.WaitOrKill(ctx, settleLimit) // it may have been stopped, or be stuck
		if ctx.Err() != nil {
			return ergane.Exit{}
		}
		shim.Reap()
	}
	var exit ergane.Exit
	err := insist(ctx, func() (err error) {
		exit, err = readDocument(root, exitFile, parseExit)
		return err
	})
	left := killGroup(ctx, root)
	if err != nil {
		killStragglers(ctx, root, h, dir)
		exit = ergane.Exit{Detail: "the process that watched over it is gone, too"}
	}
	if left != nil {
		exit.Detail = strings.TrimSpace(exit.Detail + " (" + left.Error() + ")")
	}
	return exit
}

// insist repeats for a while what fails for a want that may pass.
func insist(ctx context.Context, do func() error) error {
	deadline := time.Now().Add(settleLimit)
	for {
		err := do()
		if err == nil || lasting(err) || ctx.Err() != nil || time.Now().After(deadline) {
			return err
		}
		pause(ctx, 100*time.Millisecond)
	}
}

// killStragglers ends what an unwatched kernel left running. The work folder
// goes when that is done: from then on the kernel's user may be another's.
// It returns how many it could not end.
func killStragglers(ctx context.Context, root *os.Root, h Handle, dir string) (left int) {
	if _, err := root.Lstat(workFolder); errors.Is(err, fs.ErrNotExist) {
		return 0
	}
	if claim := claimBack(ctx, root, h); claim != nil {
		defer claim.Release()
	} else {
		h.User = 0 // who has it is no concern of ours
	}
	deadline := time.Now().Add(settleLimit)
	for {
		pids := stragglers(h, dir, sessionOf(dir))
		if len(pids) == 0 || ctx.Err() != nil || time.Now().After(deadline) {
			return len(pids)
		}
		for _, pid := range pids {
			killStraggler(h, dir, pid)
		}
		pause(ctx, 5*time.Millisecond)
	}
}

// claimBack takes the claim on a kernel's user that its shim, which is gone, had:
// while we have it, no process of that user is another session's. nil where
// another one has the user by now, and where the kernel had a control group,
// which nothing of it could leave.
func claimBack(ctx context.Context, root *os.Root, h Handle) (claim *flock.Lock) {
	if h.User == 0 {
		return nil
	}
	claims := sandbox.ClaimsDir // of handles that do not say
	if h.Claim != "" {
		claims = filepath.Dir(h.Claim)
	}
	err := insist(ctx, func() error {
		group, err := openGroup(root)
		if group == nil && (err == nil || lasting(err)) {
			claim, err = sandbox.Claim(claims, h.User)
		}
		return err
	})
	if err != nil {
		return nil
	}
	return claim
}

// killStraggler makes sure, again, that a process is one.
func killStraggler(h Handle, dir string, pid int) {
	child.KillIf(pid, func() bool {
		st, err := child.ReadStat(pid)
		return err == nil && isStraggler(h, dir, sessionOf(dir), pid, st)
	})
}
