package fakehost

import (
	"context"
	"sync"
	"time"

	"github.com/ergane-dev/ergane"
)

// process is a kernel with its files, which stay when it has ended.
type process struct {
	m       *Machine
	session string
	up      chan struct{} // closed when it is ready
	gone    chan struct{} // closed when it has ended; refusal and exit are set before
	driver  chan struct{} // closed when the Spark driver has ended

	mu        sync.Mutex
	refusal   string                   // Spark's; guarded by mu
	exit      ergane.Exit              // guarded by mu
	current   *block                   // guarded by mu
	blocks    map[string]*block        // guarded by mu
	changed   chan struct{}            // closed and replaced when any of this changes; guarded by mu
	streams   map[ergane.Stream][]byte // guarded by mu
	released  int64                    // guarded by mu
	removed   []string                 // calculations; guarded by mu
	discarded bool                     // guarded by mu
	trimmed   bool                     // guarded by mu
	executors []ergane.SparkExecutor
	// Of a kernel that was started ahead, guarded by mu.
	shape   string
	at      time.Time
	claimed bool
	// The tasks of its calculation, guarded by mu.
	done, total int
	// How many processes Linux killed because memory ran out, and which memory; guarded by mu.
	killed   int64
	shortage string
}

// block is a calculation as its kernel has it.
type block struct {
	id, code  string
	interrupt chan struct{} // closed when it is interrupted
	ordered   sync.Once
	orders    int // guarded by the process's mu

	// The files, guarded by the process's mu.
	started        time.Time
	stdout, stderr int64
	outputs        []byte
	outcome        *ergane.Outcome // on disk
	verdict        *ergane.Outcome // reported only, because it could not be written to disk
}

func (m *Machine) spawn(session string) *process {
	p := &process{
		m: m, session: session, up: make(chan struct{}), gone: make(chan struct{}), driver: make(chan struct{}),
		blocks: map[string]*block{}, changed: make(chan struct{}), streams: map[ergane.Stream][]byte{}, done: 1, total: 4,
	}
	m.mu.Lock()
	if old := m.kernels[session]; old != nil && !closed(old.gone) {
		m.wrongs = append(m.wrongs, "a second kernel was started for session "+session)
	}
	m.kernels[session] = p
	m.history[session] = append(m.history[session], p)
	m.started++
	m.starting++
	m.crowd = max(m.crowd, m.starting)
	f := m.faults
	m.mu.Unlock()
	m.running.Go(func() { p.begin(f) })
	return p
}

// begin starts the kernel: it becomes ready, or ends as the Faults say.
func (p *process) begin(f Faults) {
	defer func() {
		p.m.mu.Lock()
		p.m.starting--
		p.m.mu.Unlock()
	}()
	select {
	case <-p.gone:
		return
	case <-time.After(f.ReadyTakes):
	}
	switch {
	case f.Refusal != "":
		p.mu.Lock()
		p.refusal = f.Refusal
		p.mu.Unlock()
		p.end(ergane.Exit{Known: true, Code: 3})
	case f.Unready != nil:
		p.end(*f.Unready)
	default:
		p.change(func() { close(p.up) })
	}
}

// change makes a change and wakes the goroutines in await.
func (p *process) change(do func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	do()
	p.wake()
}

func (p *process) wake() {
	close(p.changed)
	p.changed = make(chan struct{})
}

// await waits until done, which is called under mu, returns true.
func (p *process) await(ctx context.Context, done func() bool) error {
	for {
		p.mu.Lock()
		ok, changed := done(), p.changed
		p.mu.Unlock()
		if ok {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// end ends the process; false if it had ended.
func (p *process) end(e ergane.Exit) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if closed(p.gone) {
		return false
	}
	p.exit = e
	close(p.gone)
	p.wake()
	return true
}

func (p *process) endDriver() {
	p.change(func() {
		if !closed(p.driver) {
			close(p.driver)
		}
	})
}

// block returns the calculation's block, and makes it if there is none. Call it under mu.
func (p *process) block(id string) *block {
	b := p.blocks[id]
	if b == nil {
		b = &block{id: id, interrupt: make(chan struct{})}
		p.blocks[id] = b
	}
	return b
}

// run runs a block that has been made current.
func (p *process) run(b *block) {
	p.mu.Lock()
	if closed(p.gone) {
		p.mu.Unlock()
		return
	}
	b.started = time.Now()
	b.stdout, b.stderr = int64(len(p.streams[ergane.Stdout])), int64(len(p.streams[ergane.Stderr]))
	p.wake()
	p.mu.Unlock()
	p.m.mu.Lock()
	p.m.runs[b.id]++
	p.m.mu.Unlock()

	v := (&interpreter{p: p, b: b}).run()

	p.mu.Lock()
	defer p.mu.Unlock()
	if closed(p.gone) {
		return // a process that has ended writes no outcome
	}
	out := &ergane.Outcome{
		State: v.state, Reason: v.reason, StartedAt: b.started, EndedAt: time.Now(),
		Stdout:  ergane.Range{Start: b.stdout, End: max(b.stdout, int64(len(p.streams[ergane.Stdout])))},
		Stderr:  ergane.Range{Start: b.stderr, End: max(b.stderr, int64(len(p.streams[ergane.Stderr])))},
		Outputs: int64(len(b.outputs)),
	}
	if v.timeless {
		out.StartedAt, out.EndedAt = time.Time{}, time.Time{}
	}
	p.current = nil
	if v.unrecorded != "" {
		out.State, out.Reason = ergane.CalculationFailed, "the kernel could not record the outcome: "+v.unrecorded
		b.verdict = out
		p.exit = ergane.Exit{Known: true, Code: 4}
		close(p.gone)
	} else {
		b.outcome = out
	}
	p.wake()
}

// write appends to a stream; false when the process has ended.
func (p *process) write(stream ergane.Stream, text []byte) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if closed(p.gone) {
		return false
	}
	p.streams[stream] = append(p.streams[stream], text...)
	return true
}
