// Package fakehost is a fake machine for the tests of package session: its kernels
// run small scripts (see script.go), its spools are in memory, and nearly every
// call can be made to fail. Objects and Store are fakes with the same controls. All
// of it works in a testing/synctest bubble.
//
// A Machine outlives the servers on it. Each server gets its own Host, whose calls
// fail once the server's Power is cut.
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

// Faults are what goes wrong on a Machine. With the zero value nothing does.
type Faults struct {
	// Check is the error of Host.Check.
	Check error
	// Memory is what a session needs, DiskUse what its files use, in bytes.
	Memory, DiskUse int64
	// Unmeasurable is the error of Host.DiskUse.
	Unmeasurable error
	// Logs are the parts of every session's log.
	Logs []string
	// Start is the error of Host.Start.
	Start error
	// PrepareTakes is how long Host.Prepare takes, StartTakes Host.Start, and
	// ReadyTakes a kernel after that until it is ready.
	PrepareTakes, StartTakes, ReadyTakes time.Duration
	// Refusal is the error with which Spark refuses to start; kernels end with it.
	Refusal string
	// Unready is how kernels end instead of becoming ready.
	Unready *ergane.Exit
	// Unclaimed is how kernels end when they are claimed; ClaimRefusal is the error
	// with which Spark refuses a claim.
	Unclaimed    *ergane.Exit
	ClaimRefusal string
	// Adopt is the error of Host.Adopt, Expel of Host.Expel, Spool of Host.Spool.
	Adopt, Expel, Spool error
	// Exec is the error of Kernel.Exec; nothing runs.
	Exec error
	// Wait is the error of Kernel.Wait at the end of the code, while the kernel lives.
	Wait error
	// Deaf kernels accept no code and answer nothing, but live.
	Deaf bool
	// Untaken is how a kernel ends when it gets code, before the code starts.
	Untaken *ergane.Exit
	// Age is how long ago every calculation was submitted, whatever the clock says.
	Age time.Duration
	// Section is the error of Spool.Section, Unread of Spool.Outcome and
	// Spool.Started, Unsized of Spool.Size.
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
	wrongs   []string              // what servers did and must not do; guarded by mu
	open     map[string]int        // handles that were not closed, by kind; guarded by mu
	doors    map[string]*door      // that scripts wait for; guarded by mu
	runs     map[string]int        // by calculation; guarded by mu
	engines  map[string]string     // selected to effective; guarded by mu
	running  sync.WaitGroup        // the goroutines of the kernels
	history  map[string][]*process // every kernel of each session; guarded by mu
	// logStored are the sessions whose log was stored; guarded by mu.
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

// Kill ends the kernel of a session; false if there is none.
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

// Lose ends the kernel of a session and removes all of its files, as a lost disk does.
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

// Crowd is the highest number of kernels that were starting at once.
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

// Orders is how often a calculation was interrupted.
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

// Wrongs lists what servers did and must not do: start two kernels for one session,
// or remove the files of a living kernel.
func (m *Machine) Wrongs() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.wrongs)
}

// Open counts the handles that servers have not closed, by kind.
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

// A door makes scripts wait until it is opened.
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

// Let opens a door permanently: scripts that wait at it, or will, go on.
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
