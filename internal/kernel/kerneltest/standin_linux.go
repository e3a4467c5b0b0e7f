package kerneltest

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

type standin struct {
	token string
	dir   string // work, of the session's folder
	queue chan string
	// stdout and stderr are descriptors.
	stdout, stderr int
	speaks         string // another version of the protocol, "newer", or none: "refuses"
	greeted        func() // called at every hello of a server; may be nil

	mu        sync.Mutex
	epoch     int64
	conns     map[net.Conn]bool // those that may give orders
	ready     bool
	ahead     bool // started before there is a session, and not claimed yet
	current   string
	finishing bool
	seen      map[string]string
	stop      context.CancelFunc // of the running block
	asked     string             // the calculation to interrupt, ordered by the socket with strike
	deaf      bool
}

func standIn() int {
	var boot struct {
		Token, Dir string
		Env        map[string]string
		Ahead      *struct{}
	}
	doc := os.NewFile(3, "boot")
	if err := json.NewDecoder(doc).Decode(&boot); err != nil {
		fmt.Fprintln(os.Stderr, "boot document:", err)
		return 1
	}
	doc.Close()
	for k, v := range boot.Env {
		os.Setenv(k, v)
	}
	s := newStandin(boot.Dir, boot.Token, 1, 2)
	s.ahead = boot.Ahead != nil
	start, arg, _ := strings.Cut(boot.Env["STANDIN_START"], " ")
	if start == "speaks" {
		s.speaks = arg
	}
	if start == "log" {
		unix.Write(4, []byte(arg+"\n"))
	}
	unix.CloseOnExec(4)
	for fd, name := range map[int]string{1: "stdout", 2: "stderr"} {
		f, err := os.OpenFile(filepath.Join(s.dir, name), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		unix.Dup2(int(f.Fd()), fd)
		f.Close()
	}
	s.takeSignals()
	if start == "mute" {
		select {}
	}
	if err := s.listen(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	switch start {
	case "slow":
		d, _ := time.ParseDuration(arg)
		time.Sleep(d)
	case "refuse":
		name, value, _ := strings.Cut(arg, " ")
		s.write("ready.json", map[string]any{"v": 1, "ok": false, "error": map[string]string{"name": name, "value": value}})
		return 3
	}
	return s.work()
}

func newStandin(dir, token string, stdout, stderr int) *standin {
	return &standin{
		token: token, dir: dir, stdout: stdout, stderr: stderr,
		queue: make(chan string, 16), conns: map[net.Conn]bool{}, seen: map[string]string{},
	}
}

// work takes calculations until one of them ends the process, and returns the status for that.
func (s *standin) work() int {
	s.write("ready.json", map[string]any{"v": 1, "ok": true, "spark": map[string]string{"version": "0"}})
	s.mu.Lock()
	s.ready = true
	s.send(map[string]any{"ev": "ready"})
	s.mu.Unlock()
	for id := range s.queue {
		if code := s.calculate(id); code >= 0 {
			return code
		}
	}
	return 0
}

// takeSignals makes SIGINT an interrupt of the block from now on, as it has to
// be before the kernel is ready: otherwise it would end the process.
func (s *standin) takeSignals() {
	interrupts := make(chan os.Signal, 64)
	signal.Notify(interrupts, syscall.SIGINT)
	go func() {
		for range interrupts {
			s.mu.Lock()
			if s.stop != nil && !s.deaf && s.takeOrder(s.current) {
				s.stop()
			}
			s.mu.Unlock()
		}
	}()
}

// takeOrder takes the order to stop a calculation, if there is one. Call it under mu.
func (s *standin) takeOrder(id string) bool {
	if s.asked == id {
		s.asked = ""
		return true
	}
	return os.Remove(s.path(id, "interrupt")) == nil
}

func (s *standin) listen() error {
	d, err := os.Open(s.dir)
	if err != nil {
		return err
	}
	name := fmt.Sprintf("/proc/self/fd/%d/kernel.sock", d.Fd())
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: name, Net: "unix"})
	if err != nil {
		return err
	}
	d.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go s.serve(c)
		}
	}()
	return nil
}

type order struct {
	Op, ID, Token string
	Strike        bool
	V, Epoch, N   int64
}

// serve takes the orders of one connection. Each is read and carried out under
// the lock under which the hello of a newer connection ends this one's right to
// give orders.
func (s *standin) serve(c net.Conn) {
	defer c.Close()
	orders := json.NewDecoder(c)
	for {
		var o order
		if orders.Decode(&o) != nil {
			return
		}
		s.mu.Lock()
		ok := s.obey(c, o)
		s.mu.Unlock()
		if !ok {
			return
		}
	}
}

func (s *standin) obey(c net.Conn, o order) bool {
	answer := map[string]any{"re": o.N}
	defer func() {
		if answer != nil {
			send(c, answer)
		}
	}()
	if o.Op == "hello" {
		switch {
		case o.Token != s.token:
			answer = nil
			return false
		case o.Epoch <= s.epoch:
			answer["err"] = "epoch"
			return false
		}
		if s.speaks == "refuses" {
			answer["err"] = "version"
			return false
		}
		s.epoch = o.Epoch
		for old := range s.conns {
			old.Close()
			delete(s.conns, old)
		}
		s.conns[c] = true
		answer["v"], answer["pid"], answer["ready"] = 1, os.Getpid(), s.ready
		if s.speaks == "newer" {
			answer["v"] = 2
		}
		answer["a field of the future"] = map[string]any{"x": []int{1}}
		answer["current"] = s.running()
		if s.greeted != nil {
			s.greeted()
		}
		return true
	}
	if !s.conns[c] {
		answer = nil
		return false
	}
	switch o.Op {
	case "exec":
		if state, err := s.exec(o.ID); err != "" {
			answer["err"] = err
		} else {
			answer["state"] = state
		}
	case "claim":
		s.ahead = false
		s.write("claimed.json", s.claimed())
		s.send(map[string]any{"ev": "claimed"})
	case "interrupt":
		if o.Strike && s.current == o.ID {
			s.asked = o.ID
		}
		answer["ok"], answer["pending"] = s.current == o.ID, s.asked != "" && s.asked == o.ID
	case "ping":
		answer["current"] = s.running()
	case "executors":
		answer["executors"] = []map[string]any{{
			"app": "local-1", "id": "driver", "added_ms": 1700000000123, "removed_ms": nil, "active": true, "cores": 2, "host_port": "localhost:1", "removed_reason": "",
		}}
		answer["error"] = ""
	case "progress":
		answer["tasks"], answer["done"] = 4, 3
	case "shutdown":
		send(c, answer)
		os.Exit(0)
	default:
		answer["err"] = "unknown"
	}
	return true
}

// claimed is the answer to a claim: Spark refuses what has the property "spark.refuse".
func (s *standin) claimed() map[string]any {
	var c struct{ Spark map[string]string }
	b, err := os.ReadFile(filepath.Join(s.dir, "claim.json"))
	if err == nil {
		err = json.Unmarshal(b, &c)
	}
	if err != nil {
		return map[string]any{"v": 1, "ok": false, "error": map[string]string{"name": "StandInError", "value": err.Error()}}
	}
	if value, ok := c.Spark["spark.refuse"]; ok {
		return map[string]any{"v": 1, "ok": false, "error": map[string]string{"name": "IllegalArgumentException", "value": value}}
	}
	return map[string]any{"v": 1, "ok": true}
}

func (s *standin) running() any {
	if s.current == "" {
		return nil
	}
	return s.current
}

func (s *standin) exec(id string) (state, err string) {
	if state := s.seen[id]; state != "" {
		return state, ""
	}
	if _, err := os.Stat(s.path(id, "outcome.json")); err == nil {
		return "done", ""
	}
	switch {
	case !s.ready || s.ahead:
		return "", "not ready"
	case s.current != "" && !s.finishing:
		return "", "busy"
	}
	s.seen[id] = "running"
	s.queue <- id
	if s.current == "" {
		s.current = id
	}
	return "accepted", ""
}

// calculate runs a block and returns the status to end the process with, or -1.
func (s *standin) calculate(id string) int {
	began := now()
	stdout, stderr := size(s.stdout), size(s.stderr)
	s.mu.Lock()
	s.current, s.finishing = id, false
	s.mu.Unlock()
	s.write("calc/"+id+"/started.json", map[string]any{"v": 1, "id": id, "t": began, "stdout": stdout, "stderr": stderr})
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	s.mu.Lock()
	s.stop = stop
	if s.takeOrder(id) {
		stop()
	}
	s.mu.Unlock()
	code, err := os.ReadFile(s.path(id, "code.py"))
	verdict := map[string]any{
		"v": 1, "id": id, "state": "COMPLETED", "error": nil, "start": began, "stdout": []int64{stdout, 0}, "stderr": []int64{stderr, 0},
	}
	b := &block{standin: s, id: id, ctx: ctx}
	for line := range strings.Lines(string(code)) {
		if err = ctx.Err(); err == nil {
			err = b.run(strings.TrimSpace(line))
		}
		if err != nil {
			break
		}
	}
	s.mu.Lock()
	s.stop, s.deaf = nil, false
	s.mu.Unlock()
	switch raised, is := err.(*raised); {
	case ctx.Err() != nil:
		verdict["state"], verdict["error"] = "CANCELED", map[string]string{"name": "KeyboardInterrupt", "value": ""}
	case is:
		verdict["state"], verdict["error"] = "FAILED", map[string]string{"name": raised.name, "value": raised.value}
	case err != nil:
		verdict["state"], verdict["error"] = "FAILED", map[string]string{"name": "StandInError", "value": err.Error()}
	}
	verdict["end"], verdict["outputs"] = now(), b.outputs
	verdict["stdout"], verdict["stderr"] = []int64{stdout, size(s.stdout)}, []int64{stderr, size(s.stderr)}
	if b.unrecorded != "" {
		verdict["ev"], verdict["unrecorded"] = "done", b.unrecorded
		s.mu.Lock()
		s.send(verdict)
		return 4
	}
	s.mu.Lock()
	s.finishing = true
	s.seen[id] = "done"
	s.mu.Unlock()
	s.write("calc/"+id+"/outcome.json", verdict)
	s.mu.Lock()
	if s.current == id {
		s.current, s.finishing = "", false
	}
	s.send(map[string]any{"ev": "done", "id": id})
	s.mu.Unlock()
	return -1
}

func (s *standin) locked(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

func (s *standin) path(id, name string) string { return filepath.Join(s.dir, "calc", id, name) }

// send sends an event to every connection.
func (s *standin) send(m map[string]any) {
	for c := range s.conns {
		send(c, m)
	}
}

func (s *standin) raw(b []byte) {
	for c := range s.conns {
		c.SetWriteDeadline(time.Now().Add(10 * time.Second))
		c.Write(b)
		c.SetWriteDeadline(time.Time{})
	}
}

func (s *standin) write(name string, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	name = filepath.Join(s.dir, name)
	f, err := os.CreateTemp(filepath.Dir(name), ".tmp*")
	if err != nil {
		return // user code removed the folder
	}
	f.Write(b)
	f.Sync()
	f.Close()
	os.Rename(f.Name(), name)
}

func send(w io.Writer, m map[string]any) {
	b, err := json.Marshal(m)
	if err != nil {
		panic(err)
	}
	w.Write(append(b, '\n'))
}

func size(fd int) int64 {
	var st unix.Stat_t
	unix.Fstat(fd, &st)
	return st.Size
}

func now() float64 { return float64(time.Now().UnixMicro()) / 1e6 }
