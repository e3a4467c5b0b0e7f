// Package fakehost is a machine made up for the tests of package session: its
// kernels run small scripts (see script.go), its spools lie in memory, and
// nearly everything on it can be made to fail. Around it stand Objects and a
// Store with the same knobs. All of it works in a testing/synctest bubble.
//
// A Machine outlives the servers on it. Each server gets a Host of its own,
// which stops answering when the server's Power is cut.
package fakehost

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/ergane-dev/ergane"
	"github.com/ergane-dev/ergane/internal/delivery"
	"github.com/ergane-dev/ergane/internal/session"
)

// Faults are what goes wrong on a Machine. The zero value is a machine in order.
type Faults struct {
	// Check is the answer of Host.Check.
	Check error
	// Memory is what a session needs, DiskUse what its files take up, in bytes.
	Memory, DiskUse int64
	// Unmeasurable is what Host.DiskUse answers in place of that.
	Unmeasurable error
	// Logs are the parts of every session's log.
	Logs []string
	// Start is the answer of Host.Start, for the reason given.
	Start error
	// PrepareTakes is how long Host.Prepare needs, StartTakes Host.Start, ReadyTakes a kernel after that.
	PrepareTakes, StartTakes, ReadyTakes time.Duration
	// Refusal is Spark's sentence with which kernels end instead of being ready.
	Refusal string
	// Unready ends kernels in this way instead of their being ready.
	Unready *ergane.Exit
	// Unclaimed ends kernels in this way when they are claimed; ClaimRefusal is
	// Spark's sentence with which it refuses to be.
	Unclaimed    *ergane.Exit
	ClaimRefusal string
	// Adopt is the answer of Host.Adopt, Expel of Host.Expel, Spool of Host.Spool.
	Adopt, Expel, Spool error
	// Exec is the answer of Kernel.Exec; nothing runs.
	Exec error
	// Wait is what Kernel.Wait answers at the end of the code, while the kernel lives.
	Wait error
	// Deaf kernels take no code and answer nothing, but live.
	Deaf bool
	// Untaken ends a kernel in this way when it gets code, before the code starts.
	Untaken *ergane.Exit
	// Age is how long ago every calculation was submitted, whatever the clock says.
	Age time.Duration
	// Section is what Spool.Section answers for every range that is not empty,
	// Unread what Spool.Outcome and Spool.Started do, Unsized what Spool.Size does.
	Section, Unread, Unsized error
}

// A Machine runs kernels. Its methods may be called from any goroutine.
type Machine struct {
	mu       sync.Mutex
	faults   Faults                // guarded by mu
	kernels  map[string]*process   // the last of each session, living or dead; guarded by mu
	started  int                   // guarded by mu
	starting int                   // neither ready nor gone; guarded by mu
	crowd    int                   // the most that were starting at once; guarded by mu
	wrongs   []string              // what no server may do; guarded by mu
	open     map[string]int        // handles that were not given back, by kind; guarded by mu
	doors    map[string]*door      // what scripts wait for; guarded by mu
	runs     map[string]int        // by calculation; guarded by mu
	engines  map[string]string     // selected to effective; guarded by mu
	running  sync.WaitGroup        // the goroutines of the kernels
	history  map[string][]*process // every kernel of each session; guarded by mu
	// logStored are the sessions of which that is known; guarded by mu.
	logStored map[string]bool
}

// New makes a machine on which nothing runs.
func New() *Machine {
	return &Machine{
		kernels: map[string]*process{}, open: map[string]int{}, doors: map[string]*door{}, runs: map[string]int{}, history: map[string][]*process{}, logStored: map[string]bool{},
		engines: map[string]string{"AUTO": Engine, "": Engine, Engine: Engine},
	}
}

// Engine is the engine version that the machine has.
const Engine = "PySpark engine version 3"

// Close ends all kernels and waits for them.
func (m *Machine) Close() {
	m.endAll(ergane.Exit{Signal: 9})
	m.running.Wait()
}

// Set changes what goes wrong from now on.
func (m *Machine) Set(f Faults) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.faults = f
}

func (m *Machine) fault() Faults {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.faults
}

// Reboot ends all kernels as a restart of the machine does.
func (m *Machine) Reboot() { m.endAll(ergane.Exit{Detail: "the machine was restarted"}) }

func (m *Machine) endAll(e ergane.Exit) {
	for _, p := range m.all() {
		p.end(e)
	}
}

// all are the kernels of all sessions, also those that have ended.
func (m *Machine) all() []*process {
	m.mu.Lock()
	defer m.mu.Unlock()
	var all []*process
	for _, of := range m.history {
		all = append(all, of...)
	}
	return all
}

// Kill ends the kernel of a session; false where there is none.
func (m *Machine) Kill(session string, e ergane.Exit) bool {
	p := m.kernel(session)
	if p == nil {
		return false
	}
	return p.end(e)
}

// KillDriver ends the Spark driver of a session.
func (m *Machine) KillDriver(session string) { m.kernel(session).endDriver() }

// Executors sets what the Spark driver of a session says of its executors.
func (m *Machine) Executors(session string, es ...ergane.SparkExecutor) {
	p := m.kernel(session)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.executors = es
}

// Tasks sets what the Spark driver of a session says of its calculation's tasks.
func (m *Machine) Tasks(session string, done, total int) {
	p := m.kernel(session)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done, p.total = done, total
}

// Orphan starts a kernel for a session that no server knows.
func (m *Machine) Orphan(session string) { m.spawn(session) }

// Lose removes all that the machine has of a session, as a lost disk does. A
// living kernel is ended.
func (m *Machine) Lose(session string) {
	m.Kill(session, ergane.Exit{Signal: 9})
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.kernels, session)
}

// Truncate cuts a stream of a session's spool to size, as hostile code may.
func (m *Machine) Truncate(session string, stream ergane.Stream, size int) {
	p := m.kernel(session)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.streams[stream] = p.streams[stream][:size]
}

// Alive reports whether the kernel of a session lives.
func (m *Machine) Alive(session string) bool {
	p := m.kernel(session)
	return p != nil && !closed(p.gone)
}

// Has reports whether the machine has files of a session: its kernel's, its logs.
func (m *Machine) Has(session string) (files, logs bool) {
	p := m.kernel(session)
	if p == nil {
		return false, false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return !p.discarded, true
}

// Released counts the bytes of a session's spool that were given back.
func (m *Machine) Released(session string) int64 {
	p := m.kernel(session)
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.released
}

// Removed are the calculations of a session whose files were removed, in that order.
func (m *Machine) Removed(session string) []string {
	p := m.kernel(session)
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.removed)
}

// Started counts the kernels that were ever started.
func (m *Machine) Started() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.started
}

// Crowd is the largest number of kernels that were starting at once.
func (m *Machine) Crowd() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.crowd
}

// Runs counts how often the code of a calculation began to run.
func (m *Machine) Runs(calculation string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.runs[calculation]
}

// Orders is how often a calculation's interrupt was ordered.
func (m *Machine) Orders(calculation string) int {
	n := 0
	for _, p := range m.all() {
		p.mu.Lock()
		if b := p.blocks[calculation]; b != nil {
			n += b.orders
		}
		p.mu.Unlock()
	}
	return n
}

// Wrongs says what servers have done that none may: two kernels for one
// session, files taken away from a living kernel.
func (m *Machine) Wrongs() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.wrongs)
}

// Open counts the handles that servers have not given back, by kind.
func (m *Machine) Open() (kernels, spools, sections int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.open[kernelHandle], m.open[spoolHandle], m.open[sectionHandle]
}

const (
	kernelHandle  = "kernel"
	spoolHandle   = "spool"
	sectionHandle = "section"
)

func (m *Machine) opened(kind string, by int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.open[kind] += by
}

func (m *Machine) wrong(format string, args ...any) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.wrongs = append(m.wrongs, fmt.Sprintf(format, args...))
}

func (m *Machine) kernel(session string) *process {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.kernels[session]
}

// A door keeps scripts waiting until it is open.
type door struct {
	reached, open chan struct{}
	reach, push   sync.Once
}

func (m *Machine) door(name string) *door {
	m.mu.Lock()
	defer m.mu.Unlock()
	d := m.doors[name]
	if d == nil {
		d = &door{reached: make(chan struct{}), open: make(chan struct{})}
		m.doors[name] = d
	}
	return d
}

// Reached is closed when a script waits at the door of that name.
func (m *Machine) Reached(name string) <-chan struct{} { return m.door(name).reached }

// Let opens a door for good: scripts that wait at it, or will, go on.
func (m *Machine) Let(name string) { d := m.door(name); d.push.Do(func() { close(d.open) }) }

func closed(ch <-chan struct{}) bool {
	select {
	case <-ch:
		return true
	default:
		return false
	}
}

var errNoFolder = fmt.Errorf("%w: open spool: no such file or directory", delivery.ErrSpool)

var _ session.Host = (*Host)(nil)

// Discarded reports whether the files of a session's kernel were removed.
func (m *Machine) Discarded(id string) bool {
	p := m.kernel(id)
	if p == nil {
		return true
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.discarded
}

// Trimmed reports whether nothing but the spool and the logs of a session is left.
func (m *Machine) Trimmed(session string) bool {
	p := m.kernel(session)
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.trimmed
}
