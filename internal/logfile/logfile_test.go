package logfile_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/ergane-dev/ergane/internal/logfile"
)

// childEnv makes the test's binary a process that logs to the file it names,
// and writes to its stderr.
const childEnv = "ERGANE_TEST_LOGFILE"

func TestMain(m *testing.M) {
	if path := os.Getenv(childEnv); path != "" {
		child(path)
	}
	os.Exit(m.Run())
}

func child(path string) {
	l, err := logfile.Open(path, 1000)
	if err != nil {
		panic(err)
	}
	for i := range 100 {
		fmt.Fprintf(l, "log line %d %s\n", i, strings.Repeat("x", 40))
	}
	fmt.Fprintln(os.Stdout, "to stdout at the end")
	fmt.Fprintln(os.Stderr, "to stderr at the end")
	os.Exit(0)
}

func read(t *testing.T, path string) string {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// files checks that there are two files of a log, within the bound, and
// returns what is in them.
func files(t *testing.T, path string, most int) (older, newer string) {
	t.Helper()
	all, err := filepath.Glob(path + "*")
	if err != nil || len(all) != 2 {
		t.Errorf("there are %v (%v)", all, err)
	}
	for _, file := range all {
		if info, err := os.Stat(file); err != nil || info.Size() > int64(most) || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v (%v)", file, info, err)
		}
	}
	return read(t, logfile.Older(path)), read(t, path)
}

func TestALogKeepsItsEndInTwoFiles(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "x.log")
	for range 2 { // the next process goes on in the file
		l, err := logfile.Open(path, 100)
		if err != nil {
			t.Fatal(err)
		}
		for i := range 10 {
			if _, err := fmt.Fprintf(l, "%029d\n", i); err != nil {
				t.Error(err)
			}
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}
	older, newer := files(t, path, 100)
	var last string
	for i := 5; i < 10; i++ {
		last += fmt.Sprintf("%029d\n", i)
	}
	if !strings.HasSuffix(older+newer, last) || len(older+newer) > 200 {
		t.Errorf("the log is %q and %q", older, newer)
	}
}

func TestALineThatIsLongerThanTheBoundIsWritten(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "x.log")
	l, err := logfile.Open(path, 10)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for range 2 {
		if n, err := l.Write([]byte("longer than ten bytes\n")); n != 22 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
	}
	if got := read(t, path); got != "longer than ten bytes\n" {
		t.Errorf("the log is %q", got)
	}
}

// Two servers may start at once; one of them soon ends.
func TestSeveralWritersKeepTheBoundAndLoseNoFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "x.log")
	var writers sync.WaitGroup
	for range 4 {
		l, err := logfile.Open(path, 4000)
		if err != nil {
			t.Fatal(err)
		}
		writers.Go(func() {
			defer l.Close()
			for i := range 200 {
				fmt.Fprintf(l, "%030d\n", i)
			}
		})
	}
	writers.Wait()
	_, newer := files(t, path, 4000+4*31)
	l, err := logfile.Open(path, 4000)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	fmt.Fprint(l, "last")
	if got := read(t, path); !strings.HasSuffix(got, "last") || len(got) < min(len(newer), 4) {
		t.Errorf("the log ends with %q", got)
	}
}

func TestStdoutAndStderrFollowTheLog(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "x.log")
	run := func(to *os.File) {
		t.Helper()
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), childEnv+"="+path)
		cmd.Stdout, cmd.Stderr = to, to
		if err := cmd.Run(); err != nil {
			t.Fatal(err)
		}
	}
	own, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer own.Close()
	run(own)
	if _, newer := files(t, path, 1100); !strings.HasSuffix(newer, "to stdout at the end\nto stderr at the end\n") {
		t.Errorf("the log ends with %q", newer)
	}
	elsewhere, err := os.Create(filepath.Join(t.TempDir(), "elsewhere"))
	if err != nil {
		t.Fatal(err)
	}
	defer elsewhere.Close()
	run(elsewhere)
	if got := read(t, elsewhere.Name()); got != "to stdout at the end\nto stderr at the end\n" {
		t.Errorf("elsewhere there is %q", got)
	}
}

func TestALogThatCannotBeRotatedGrows(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "x.log")
	if err := os.MkdirAll(filepath.Join(logfile.Older(path), "in the way"), 0o700); err != nil {
		t.Fatal(err)
	}
	l, err := logfile.Open(path, 10)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for range 3 {
		fmt.Fprintln(l, "12345678")
	}
	if got := read(t, path); got != strings.Repeat("12345678\n", 3) {
		t.Errorf("the log is %q", got)
	}
}

func TestALongLogIsTurnedOverBeforeAProcessGetsIt(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "log")
	for _, want := range []struct{ write, old string }{{"12345", ""}, {"6", ""}, {"7", "123456"}} {
		f, err := logfile.ForChild(path, 5)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteString(want.write); err != nil {
			t.Fatal(err)
		}
		f.Close()
		if old, _ := os.ReadFile(logfile.Older(path)); string(old) != want.old {
			t.Errorf("when %q is written the older log is %q, not %q", want.write, old, want.old)
		}
	}
	if last, err := os.ReadFile(path); err != nil || string(last) != "7" {
		t.Errorf("the log is %q, %v", last, err)
	}
}
