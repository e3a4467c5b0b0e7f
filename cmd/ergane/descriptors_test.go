package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ergane-dev/ergane/internal/datadir"
	"github.com/ergane-dev/ergane/internal/flock"
)

// TestDescriptorsInAChild is no test: the tests below run it in a child process,
// because limits belong to a process.
func TestDescriptorsInAChild(t *testing.T) {
	user, ok := os.LookupEnv("RAISE_AS")
	if !ok {
		return // this is not the child of a test
	}
	if user != "0" {
		id, _ := strconv.Atoi(user)
		if err := syscall.Setresuid(id, id, id); err != nil {
			t.Fatal(err)
		}
	}
	kernels := raiseDescriptors()
	var now unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &now); err != nil {
		t.Fatal(err)
	}
	f := (&doctorCmd{dirs: dirs{DataDir: t.TempDir()}}).descriptors()
	children, err := exec.Command("sh", "-c", "ulimit -Sn").Output()
	if err != nil {
		t.Fatal(err)
	}
	fmt.Printf("<%d/%d, kernels %d/%d, children %s, %t %s>", now.Cur, now.Max, kernels.Soft, kernels.Hard, bytes.TrimSpace(children), f.OK, f.Detail)
}

// raised is what a child with the given limits prints.
func raised(t *testing.T, limits, user string) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sh", "-c", limits+` && exec "$0" -test.run '^TestDescriptorsInAChild$'`, self)
	cmd.Env = append(os.Environ(), "RAISE_AS="+user)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	_, said, _ := strings.Cut(string(out), "<")
	said, _, _ = strings.Cut(said, ">")
	return said
}

func TestAServerRaisesALowLimitIfItMayAndItsKernelsKeepTheLowOne(t *testing.T) {
	t.Parallel()
	most := mostDescriptors()
	if most < 4096 {
		t.Fatalf("a server can have %d descriptors", most)
	}
	may, ordinary := mayRaise(t), "65534"
	if os.Geteuid() != 0 {
		ordinary = "0" // this one is
	}
	all := fmt.Sprintf("%d/%[1]d, kernels %%s, children %[1]d, true 0/%[1]d: a server would have this many", most)
	for _, tc := range []struct{ limits, raised, otherwise string }{
		{"ulimit -n 2000", "2000/2000", "2000/2000, kernels 0/0, children 2000, true 0/2000: a server would have this many"},
		{"ulimit -Sn 1024 && ulimit -Hn 2000", "1024/2000", "1999/2000, kernels 0/0, children 1024, true 0/2000: a server would have this many"},
		{"ulimit -n 512", "512/512", "512/512, kernels 0/0, children 512, false 0/512: a server would have this many"},
	} {
		want := tc.otherwise
		if may {
			want = fmt.Sprintf(all, tc.raised)
		}
		if got := raised(t, tc.limits, "0"); got != want {
			t.Errorf("%s: %s, want %s", tc.limits, got, want)
		}
		if got := raised(t, tc.limits, ordinary); got != tc.otherwise && !(may && ordinary == "0") {
			t.Errorf("%s, as an ordinary user: %s, want %s", tc.limits, got, tc.otherwise)
		}
	}
}

// mayRaise reports whether this process may raise its hard limits: root in a
// container often may not.
func mayRaise(t *testing.T) bool {
	t.Helper()
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var has [2]unix.CapUserData
	if err := unix.Capget(&header, &has[0]); err != nil {
		t.Fatal(err)
	}
	return has[0].Effective&(1<<unix.CAP_SYS_RESOURCE) != 0
}

func TestDoctorShowsTheDescriptorsOfTheServer(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	lock, err := flock.Acquire(datadir.Lock(dir))
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Release()
	server := exec.Command("sh", "-c", "ulimit -n 1100; echo; read wait")
	in, err := server.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := server.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 1)); err != nil { // the limit is set
		t.Fatal(err)
	}
	if err := datadir.WriteJSON(datadir.ServerFile(dir), datadir.Server{PID: server.Process.Pid}); err != nil {
		t.Fatal(err)
	}
	open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", server.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	f := (&doctorCmd{dirs: dirs{DataDir: dir}}).descriptors()
	in.Close()
	_ = server.Wait()
	if want := fmt.Sprintf("%d/1100 of the server are in use", len(open)); f.Detail != want || !f.OK {
		t.Errorf("%t, %s; want %s", f.OK, f.Detail, want)
	}
}
