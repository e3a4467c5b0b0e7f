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
// ended, and reads what it recorded. If the shim is gone, settle does its work.
// shim is nil if it was gone before.
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

// insist repeats for some time what fails for a reason that may pass.
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

// killStragglers ends the processes that a kernel without a shim has left. The
// work folder is removed after that: from then on another session may get the
// kernel's user. It returns how many it could not end.
func killStragglers(ctx context.Context, root *os.Root, h Handle, dir string) (left int) {
	if _, err := root.Lstat(workFolder); errors.Is(err, fs.ErrNotExist) {
		return 0
	}
	if claim := claimBack(ctx, root, h); claim != nil {
		defer claim.Release()
	} else {
		h.User = 0 // its processes may be those of another session
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

// claimBack takes the claim on a kernel's user that its shim had, which is gone:
// while we hold it, no other session can have that user. It is nil if another
// session has the user by now, and if the kernel had a control group, which none
// of its processes could leave.
func claimBack(ctx context.Context, root *os.Root, h Handle) (claim *flock.Lock) {
	if h.User == 0 {
		return nil
	}
	claims := sandbox.ClaimsDir // for handles that name no file
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

// killStraggler checks once more that a process is a straggler, and kills it.
func killStraggler(h Handle, dir string, pid int) {
	child.KillIf(pid, func() bool {
		st, err := child.ReadStat(pid)
		return err == nil && isStraggler(h, dir, sessionOf(dir), pid, st)
	})
}
