package kernel

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ergane-dev/ergane/internal/child"
	"github.com/ergane-dev/ergane/internal/durable"
	"github.com/ergane-dev/ergane/internal/sandbox"
)

// shimInput is what Start writes for the shim to read from its descriptor 3.
type shimInput struct {
	V              int             `json:"v"`
	Dir            string          `json:"dir"`
	Argv           []string        `json:"argv"`
	Env            []string        `json:"env"`
	DeadManSeconds float64         `json:"dead_man_seconds"` // 0: the kernel lives on without a server
	ServerLock     string          `json:"server_lock"`
	Boot           json.RawMessage `json:"boot"`
	Sandbox        *sandbox.Policy `json:"sandbox,omitzero"`
	Claim          string          `json:"claim,omitzero"` // the file of the lock on the sandbox's user
	Yield          bool            `json:"yield,omitzero"` // the kernel has the lowest priority until it is claimed
	Descriptors    Descriptors     `json:"descriptors,omitzero"`
}

// The shim's descriptors. 0 is /dev/null, 1 and 2 are spawn.log.
const (
	shimInputFD  = 3
	shimReportFD = 4 // takes one line: startedReport, or what went wrong
	shimLockFD   = 5 // the session's lock, taken by the server, held until the shim ends
	shimClaimFD  = 6 // the lock on the sandbox's user, likewise, where there is one
	shimFDs      = 7
)

const (
	startedReport = "started"
	maxShimInput  = 16 << 20
	maxDetail     = 2 << 10
	exitRoom      = 16 << 10 // longest exit.json: every byte of the detail escaped
)

// ShimMain is the main function of the shim, the parent of one kernel, and
// returns its exit status. The process must do nothing else: ShimMain reaps
// every child, and closes every descriptor it does not know.
func ShimMain() int {
	// The kernel is killed when the thread that started it ends, so this
	// goroutine starts it and keeps its thread to the end of the process.
	runtime.LockOSThread()
	// Notify and not Ignore: what is ignored here would be ignored by the kernel and all its children.
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGPIPE)
	closeInherited()
	report := os.NewFile(shimReportFD, "report")
	s, err := newShim()
	if err == nil {
		err = s.start()
	}
	if err != nil {
		fmt.Fprintln(report, err)
		return 1
	}
	crashAt("shim.recorded")
	fmt.Fprintln(report, startedReport) // fails if the server has died meanwhile, which is no reason to stop
	report.Close()
	return s.run(signals)
}

// closeInherited closes descriptors that the server itself had inherited unknowingly:
// a lock or a socket among them would be held for as long as the kernel lives.
func closeInherited() {
	for fd := range uintptr(shimFDs) {
		if fd > 2 {
			unix.CloseOnExec(int(fd))
		}
	}
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return
	}
	for _, e := range open {
		var fd int
		if _, err := fmt.Sscan(e.Name(), &fd); err != nil || fd < shimFDs {
			continue
		}
		// Go's own descriptors, this folder's among them, are all close-on-exec; an inherited one never is.
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil && flags&unix.FD_CLOEXEC == 0 {
			unix.Close(fd)
		}
	}
}

type shim struct {
	in     shimInput
	root   *os.Root      // the server's part of the session folder
	user   int           // of the kernel, where it has one of its own
	exit   *durable.File // becomes exit.json; its disk space is reserved
	kernel *child.Process
	child  int            // the kernel, or the init of its process namespace
	inside *os.File       // the pipe from that init; nil if there is none
	words  io.Reader      // the rest of what that init writes
	group  *sandbox.Group // of the kernel, where it has one
	oom    *oomWatch
	// driverOutput is the read end of the session log's pipe.
	driverOutput *os.File
	logDone      chan struct{} // closed when all of it has been read
	// why is set by the goroutine that decides to end the kernel.
	why atomic.Pointer[string]
}

func newShim() (*shim, error) {
	input := os.NewFile(shimInputFD, "input")
	defer input.Close()
	b, err := io.ReadAll(io.LimitReader(input, maxShimInput))
	if err != nil {
		return nil, fmt.Errorf("read input: %w", err)
	}
	s := &shim{logDone: make(chan struct{})}
	if err := json.Unmarshal(b, &s.in); err != nil {
		return nil, fmt.Errorf("read input: %w", err)
	}
	if s.in.V != protocolVersion || len(s.in.Argv) == 0 {
		return nil, fmt.Errorf("read input: not a shim's input of version %d", protocolVersion)
	}
	return s, nil
}

// start starts the kernel and records its handle. After an error nothing runs.
func (s *shim) start() (err error) {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("become reaper: %w", err)
	}
	if s.root, err = os.OpenRoot(s.in.Dir); err != nil {
		return err
	}
	if s.exit, err = durable.Create(s.root, exitFile); err != nil {
		return err
	}
	if err := preallocate(s.exit.File, exitRoom); err != nil && !errors.Is(err, unix.EOPNOTSUPP) {
		return fmt.Errorf("reserve disk space: %w", err)
	}
	log, err := openLogRing(s.root, logCap)
	if err != nil {
		return fmt.Errorf("open session log: %w", err)
	}
	if s.in.Yield {
		yield()
	}
	if err := s.in.Descriptors.set(); err != nil {
		return err
	}
	if p := s.in.Sandbox; p != nil && p.Group != nil {
		if err := makeGroup(s.root, p.Group); err != nil {
			return err
		}
		s.group = p.Group
		s.group.Yield(s.in.Yield)
		defer func() {
			if err != nil {
				s.group.Remove()
			}
		}()
	}
	s.oom = newOOMWatch(s.group, oomCounts())
	s.child, err = s.spawn(log)
	if s.child == 0 {
		return fmt.Errorf("start %s: %w", s.in.Argv[0], err)
	}
	crashAt("shim.spawned")
	s.in.Argv, s.in.Env, s.in.Boot = nil, nil, nil // they hold secrets, and are long
	if err == nil {
		s.kernel, err = s.findKernel()
	}
	if err == nil {
		err = s.record(s.kernel.PID)
	}
	if err != nil {
		unix.Kill(s.child, unix.SIGKILL)
		s.killDescendants()
		return err
	}
	return nil
}

// spawn returns the pid of the kernel, or of its init; also with an error, if the process runs nevertheless.
func (s *shim) spawn(log *logRing) (pid int, err error) {
	boot, err := child.MemoryFile("boot", s.in.Boot)
	if err != nil {
		return 0, err
	}
	defer boot.Close()
	null, err := os.Open(os.DevNull)
	if err != nil {
		return 0, err
	}
	defer null.Close()
	// Not os.Pipe, whose ends are non-blocking: the Java process cannot use such an end.
	var ends [2]int
	if err := unix.Pipe2(ends[:], unix.O_CLOEXEC); err != nil {
		return 0, err
	}
	defer unix.Close(ends[1])
	argv := s.in.Argv
	attr := &syscall.ProcAttr{
		Dir:   filepath.Join(s.in.Dir, workFolder, "tmp"),
		Env:   s.in.Env,
		Files: []uintptr{null.Fd(), 2, 2, boot.Fd(), uintptr(ends[1])},
		Sys:   &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL},
	}
	if p := s.in.Sandbox; p != nil {
		doc, err := p.Document(os.Getpid())
		if err != nil {
			unix.Close(ends[0])
			return 0, err
		}
		policy, err := child.MemoryFile("policy", doc)
		if err != nil {
			unix.Close(ends[0])
			return 0, err
		}
		defer policy.Close()
		s.user = p.User
		argv, attr.Files, attr.Sys = p.Command(argv), append(attr.Files, policy.Fd()), p.Attr()
		if p.Pids {
			read, write, err := os.Pipe()
			if err != nil {
				unix.Close(ends[0])
				return 0, err
			}
			defer write.Close()
			s.inside, attr.Files = read, append(attr.Files, write.Fd())
		}
	}
	pid, err = syscall.ForkExec(argv[0], argv, attr)
	runtime.KeepAlive(null)
	if err != nil {
		unix.Close(ends[0])
		return 0, err
	}
	if err := unix.SetNonblock(ends[0], true); err != nil { // of this end only
		return pid, err
	}
	s.driverOutput = os.NewFile(uintptr(ends[0]), "driver output")
	go s.pump(log)
	return pid, nil
}

// pump moves what the driver and its workers print into the log.
func (s *shim) pump(log *logRing) {
	defer close(s.logDone)
	io.CopyBuffer(log, struct{ io.Reader }{s.driverOutput}, make([]byte, 32<<10)) // the log never fails
}

func (s *shim) record(pid int) error {
	kernel, err := child.IdentityOf(pid)
	if err != nil {
		return fmt.Errorf("find kernel: %w", err)
	}
	self, err := child.IdentityOf(os.Getpid())
	if err != nil {
		return fmt.Errorf("find shim: %w", err)
	}
	return writeDurable(s.root, handleFile, Handle{
		V: protocolVersion, PID: pid, Start: kernel.Start, ShimPID: self.PID, ShimStart: self.Start, BootID: self.BootID, User: s.user, Claim: s.in.Claim,
	})
}

// run waits for the kernel's end, leaves nothing of it behind, and records how it ended.
func (s *shim) run(signals <-chan os.Signal) int {
	go s.obey(signals)
	go s.watchServer()
	// A shim only waits from here on: free the memory that starting took.
	debug.SetGCPercent(20)
	debug.FreeOSMemory()

	status := s.reapUntilKernel()
	crashAt("shim.reaped")
	code := status.ExitStatus()
	ended := exitDocument{V: protocolVersion, Code: &code}
	if status.Signaled() {
		ended.Signal = int(status.Signal())
		code = 128 + ended.Signal // as shells have it
	}
	ended.Detail = s.detail(status)
	s.cutSpawnLog()
	if left := s.killDescendants(); left > 0 {
		ended.Detail = fmt.Sprintf("%s (%d processes could not be ended)", ended.Detail, left)
	}
	if s.group != nil {
		if err := s.group.Remove(); err != nil {
			slog.Error("cannot remove the control group", "error", err) // the server tries again
		}
	}
	s.driverOutput.SetReadDeadline(time.Now().Add(time.Second)) // a process that could not be ended may have the pipe
	<-s.logDone
	b, err := json.Marshal(ended)
	if err == nil {
		err = s.exit.Commit(b)
	}
	if err != nil {
		slog.Error("exit of the kernel could not be recorded", "error", err, "exit", string(b)) // to spawn.log
		return 1
	}
	crashAt("shim.exited")
	return 0
}

// reapUntilKernel also collects the orphans of the kernel, which all become our children.
func (s *shim) reapUntilKernel() syscall.WaitStatus {
	for {
		var status syscall.WaitStatus
		if pid, err := syscall.Wait4(-1, &status, 0, nil); err == nil && pid == s.child {
			return s.statusInside(status)
		}
	}
}

// obey ends the kernel at SIGTERM. The other signals come from a terminal and are not meant for it.
func (s *shim) obey(signals <-chan os.Signal) {
	for sig := range signals {
		if sig == syscall.SIGTERM {
			go s.end("its shim was told to stop")
		}
	}
}

// end ends the kernel for the reason given.
func (s *shim) end(why string) {
	if !s.why.CompareAndSwap(nil, &why) {
		return
	}
	s.kernel.Signal(syscall.SIGTERM)
	time.Sleep(termLimit)
	s.kernel.Signal(syscall.SIGKILL)
}
