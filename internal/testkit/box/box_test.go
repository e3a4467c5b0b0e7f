package box_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/ergane-dev/ergane/internal/testkit/box"
)

func TestMain(m *testing.M) {
	box.Main()
	os.Exit(m.Run())
}

// run runs a shell script in a box and returns its status and output.
func run(t *testing.T, script string, args ...string) (int, string) {
	t.Helper()
	var out bytes.Buffer
	b := box.Box{Dir: t.TempDir(), Memory: 4 << 30, Processes: 2000, Stdout: &out, Stderr: &out}
	status, err := b.Run(t.Context(), append([]string{"sh", "-c", script, "sh"}, args...)...)
	if err != nil {
		t.Fatal(err)
	}
	return status, out.String()
}

// The canary is a process outside of the box that an attack on everything must not reach.
func TestAnAttackInTheBoxReachesNothingBesideIt(t *testing.T) {
	t.Parallel()
	canary := exec.Command("sleep", "600")
	if err := canary.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		canary.Process.Kill()
		canary.Wait()
	}()
	status, out := run(t, `sleep 600 & sleep 600 & kill -9 -1; kill -9 "$1"; kill -9 $$`, fmt.Sprint(canary.Process.Pid))
	if status != 128+9 {
		t.Errorf("the attacker's status is %d, want that of a kill; it said %q", status, out)
	}
	if err := canary.Process.Signal(syscall.Signal(0)); err != nil {
		t.Errorf("the canary is dead: %v", err)
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", canary.Process.Pid))
	if err != nil || !strings.Contains(string(stat), ") S ") {
		t.Errorf("the canary does not sleep any more: %s, %v", stat, err)
	}
}

func TestWhatIsLeftRunningEndsWithTheBox(t *testing.T) {
	t.Parallel()
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	b := box.Box{Dir: t.TempDir(), Stdout: writer, Stderr: os.Stderr}
	// Each of them keeps the pipe open; it ends when the last one does.
	status, err := b.Run(t.Context(), "sh", "-c", `setsid sleep 600 & (trap "" TERM HUP; exec sleep 600) & echo started`)
	if status != 0 || err != nil {
		t.Fatal(status, err)
	}
	writer.Close()
	var out bytes.Buffer
	if _, err := out.ReadFrom(reader); err != nil || out.String() != "started\n" {
		t.Fatalf("%q, %v", out.String(), err)
	}
}

func TestTheBoxHasAWorldOfItsOwn(t *testing.T) {
	t.Parallel()
	mark, err := os.CreateTemp("/tmp", "beside-a-box-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.Remove(mark.Name())
	status, out := run(t, `ls "$1"; touch /tmp/of-the-box && ls /tmp; tail -n +3 /proc/net/dev | cut -d: -f1; ls /proc | grep -c '^[0-9]'; echo "$`+box.Inside+`"; exit 7`, mark.Name())
	if status != 7 {
		t.Errorf("status %d", status)
	}
	lines := strings.Fields(out[strings.Index(out, "of-the-box"):])
	if len(lines) != 4 || lines[1] != "lo" || lines[3] != "1" || strings.Count(out, filepath.Base(mark.Name())) != 1 {
		t.Errorf("it sees more than itself: %s", out)
	}
	if _, err := os.Stat("/tmp/of-the-box"); err == nil {
		t.Error("its /tmp is the machine's")
	}
}

func TestFoldersThatLieInTmpStay(t *testing.T) {
	t.Parallel()
	kept, err := os.MkdirTemp("/tmp", "kept-in-a-box-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(kept)
	if err := os.WriteFile(filepath.Join(kept, "in"), []byte("here"), 0o600); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	b := box.Box{Dir: t.TempDir(), Keep: []string{kept, "/tmp/there-is-none"}, WorkDir: kept, Stdout: &out, Stderr: &out}
	if status, err := b.Run(t.Context(), "sh", "-c", `cat in && echo made >out`); status != 0 || err != nil || out.String() != "here" {
		t.Fatal(status, err, out.String())
	}
	if raw, err := os.ReadFile(filepath.Join(kept, "out")); err != nil || string(raw) != "made\n" {
		t.Errorf("%q, %v", raw, err)
	}
}

func TestACommandThatIsNotThereIsAnError(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	b := box.Box{Dir: t.TempDir(), Stdout: &out, Stderr: &out}
	if status, err := b.Run(t.Context(), "there-is-no-such-program"); err != nil || status != 125 || !strings.Contains(out.String(), "there-is-no-such-program") {
		t.Error(status, err, out.String())
	}
}
