package session_test

import (
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ergane-dev/ergane"
	"github.com/ergane-dev/ergane/internal/session"
	"github.com/ergane-dev/ergane/internal/testkit/fakehost"
)

// meter is a session.Meter that keeps what all servers of a harness counted.
type meter struct {
	t      *testing.T
	mu     sync.Mutex
	took   map[session.Step][]time.Duration // guarded by mu
	counts map[string]int                   // by counter and kind; guarded by mu
}

func (m *meter) Took(s session.Step, d time.Duration) {
	if d < 0 || s != session.SessionStart && !slices.Contains(session.Steps, s) {
		m.t.Errorf("step %q took %v", s, d)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.took[s] = append(m.took[s], d)
}

func (m *meter) Count(c session.Counter, kind string) {
	if !slices.Contains(session.Kinds[c], kind) {
		m.t.Errorf("counter %q has no kind %q", c, kind)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.counts[string(c)+" "+kind]++
}

// counted checks all counts except that of held requests.
func (h *harness) counted(want map[string]int) {
	h.Helper()
	h.settled()
	h.meter.mu.Lock()
	defer h.meter.mu.Unlock()
	got := maps.Clone(h.meter.counts)
	delete(got, "holds held") // how often a test looks
	if diff := cmp.Diff(want, got); diff != "" {
		h.Error(diff)
	}
}

// timed checks how long the measured steps took.
func (h *harness) timed(want map[session.Step][]time.Duration) {
	h.Helper()
	h.settled()
	h.meter.mu.Lock()
	defer h.meter.mu.Unlock()
	if diff := cmp.Diff(want, h.meter.took); diff != "" {
		h.Error(diff)
	}
}

// The bubble's time passes only where something waits, so that each step takes
// what the test makes it take.
func TestEveryStepOfACalculationIsTimed(t *testing.T) {
	withHarness(t, session.Config{}, func(h *harness) {
		h.machine.Set(faults{StartTakes: time.Second, ReadyTakes: 3 * time.Second})
		sid := h.idle()
		h.machine.Set(faults{})
		h.bucket.FailTimes(1, fakehost.ErrUnreachable) // 50 ms until the next attempt
		c, err := h.m.StartCalculation(h.ctx, session.CalculationRequest{
			SessionID: sid, Code: "print x\nsleep 7s", ReceivedAt: time.Now().Add(-2 * time.Millisecond),
		})
		h.must(err)
		h.awaitCalculation(c.ID, ergane.CalculationCompleted)
		h.timed(map[session.Step][]time.Duration{
			session.SessionStart: {4 * time.Second},
			session.StepReceive:  {2 * time.Millisecond},
			session.StepCommit:   {0},
			session.StepHandOver: {0},
			session.StepBegin:    {0},
			session.StepRun:      {7 * time.Second},
			session.StepRecord:   {0},
			session.StepDeliver:  {50 * time.Millisecond},
			session.StepSettle:   {0},
			session.StepWhole:    {7*time.Second + 50*time.Millisecond},
		})
		h.counted(map[string]int{"kernels started": 1, "calculations COMPLETED": 1, "puts retried": 3, "puts stored": 3})
	})
}

func TestOnlyTheWholeTimeOfAnAdoptedCalculationIsMeasured(t *testing.T) {
	withHarness(t, session.Config{}, func(h *harness) {
		sid := h.idle()
		cid := h.submit(sid, "sleep 10s")
		time.Sleep(time.Second)
		h.kill()
		time.Sleep(time.Second)
		h.serve()
		h.awaitCalculation(cid, ergane.CalculationCompleted)
		h.timed(map[session.Step][]time.Duration{
			session.SessionStart: {0},
			session.StepCommit:   {0},
			session.StepDeliver:  {0},
			session.StepSettle:   {0},
			session.StepWhole:    {10 * time.Second},
		})
		h.counted(map[string]int{"kernels started": 1, "kernels adopted": 1, "calculations COMPLETED": 1, "puts stored": 3})
	})
}

// Each is run in a harness of its own, after a session has become IDLE.
func TestEveryEventIsCountedOnce(t *testing.T) {
	failed := func(h *harness, sid string) { h.awaitSession(sid, ergane.SessionFailed) }
	for name, c := range map[string]struct {
		cfg   session.Config
		cause func(h *harness, sid string)
		want  map[string]int // beside the start of the session's kernel
	}{
		"failure of the code": {cause: func(h *harness, sid string) {
			h.awaitCalculation(h.submit(sid, "raise ValueError: x"), ergane.CalculationFailed)
		}, want: map[string]int{"calculations FAILED": 1, "puts stored": 3}},
		"termination": {cause: func(h *harness, sid string) {
			h.must(terminate(h, sid))
			h.awaitSession(sid, ergane.SessionTerminated)
		}, want: map[string]int{"sessions TERMINATED": 1}},
		"idle timeout": {cause: func(h *harness, sid string) {
			time.Sleep(session.DefaultIdleTimeout)
			h.awaitSession(sid, ergane.SessionTerminated)
		}, want: map[string]int{"sessions TERMINATED": 1}},
		"kill of an idle kernel": {cause: func(h *harness, sid string) {
			h.machine.Kill(sid, ergane.Exit{Signal: 9, Known: true})
			failed(h, sid)
		}, want: map[string]int{"sessions FAILED": 1, "deaths signal": 1}},
		"out of memory": {cause: func(h *harness, sid string) {
			h.machine.Kill(sid, ergane.Exit{Signal: 9, Known: true, Detail: "out of memory: words"})
			failed(h, sid)
		}, want: map[string]int{"sessions FAILED": 1, "deaths out_of_memory": 1}},
		"exit while code runs": {cause: func(h *harness, sid string) {
			h.submit(sid, "print x\nexit 3")
			failed(h, sid)
		}, want: map[string]int{"sessions FAILED": 1, "deaths exit_status": 1, "calculations FAILED": 1, "puts stored": 3}},
		"death without a record, and without a server": {cause: func(h *harness, sid string) {
			h.kill()
			h.machine.Kill(sid, ergane.Exit{})
			h.serve()
			failed(h, sid)
		}, want: map[string]int{"sessions FAILED": 1, "deaths unrecorded": 1}},
		"death of the driver": {cause: func(h *harness, sid string) {
			h.machine.KillDriver(sid)
			h.awaitSession(sid, ergane.SessionDegraded)
		}, want: map[string]int{"deaths driver": 1}},
		"interrupt": {cause: func(h *harness, sid string) {
			cid := h.at(sid, "gate", "")
			h.stopCalculation(cid)
			h.stopCalculation(cid)
			h.awaitCalculation(cid, ergane.CalculationCanceled)
		}, want: map[string]int{"calculations CANCELED": 1, "stops interrupt": 1, "puts stored": 3}},
		"interrupt without an effect": {cause: func(h *harness, sid string) {
			cid := h.submit(sid, "print x\nhang")
			time.Sleep(time.Second)
			h.stopCalculation(cid)
			failed(h, sid)
		}, want: map[string]int{
			"calculations CANCELED": 1, "sessions FAILED": 1, "stops interrupt": 1, "stops kill": 1, "deaths killed": 1, "puts stored": 3,
		}},
		"too long": {cfg: session.Config{MaxRunTime: time.Minute}, cause: func(h *harness, sid string) {
			h.awaitCalculation(h.submit(sid, "sleep 1h"), ergane.CalculationFailed)
		}, want: map[string]int{"calculations FAILED": 1, "stops interrupt": 1, "limits run_time": 1, "puts stored": 3}},
		"too much output": {cfg: session.Config{MaxOutput: 10}, cause: func(h *harness, sid string) {
			h.awaitCalculation(h.submit(sid, "fill 11\nsleep 1h"), ergane.CalculationFailed)
		}, want: map[string]int{"calculations FAILED": 1, "stops interrupt": 1, "limits output": 1, "puts stored": 3}},
		"too much output at once": {cfg: session.Config{MaxOutput: 10}, cause: func(h *harness, sid string) {
			h.awaitCalculation(h.submit(sid, "fill 11"), ergane.CalculationFailed)
		}, want: map[string]int{"calculations FAILED": 1, "limits output": 1, "puts stored": 3}},
		"too much disk": {cfg: session.Config{MaxDisk: 10}, cause: func(h *harness, sid string) {
			h.machine.Set(faults{DiskUse: 11})
			h.awaitCalculation(h.submit(sid, "sleep 1h"), ergane.CalculationFailed)
		}, want: map[string]int{"calculations FAILED": 1, "stops interrupt": 1, "limits disk": 1, "puts stored": 3}},
		"too many sessions": {cfg: session.Config{Limits: ergane.Limits{Sessions: 1}}, cause: func(h *harness, _ string) {
			h.refusedStart(session.StartRequest{WorkGroup: "primary"}, "this server has 1 of 1 sessions, and this one needs 1")
		}, want: map[string]int{"limits sessions": 1}},
		"too many DPUs": {cfg: session.Config{Limits: ergane.Limits{WorkGroupDpus: 30}}, cause: func(h *harness, _ string) {
			h.refusedStart(session.StartRequest{WorkGroup: "primary"}, "the sessions of workgroup primary have 20 of 30 DPUs, and this one needs 20")
		}, want: map[string]int{"limits workgroup_dpus": 1}},
	} {
		t.Run(name, func(t *testing.T) {
			withHarness(t, c.cfg, func(h *harness) {
				c.cause(h, h.idle())
				c.want["kernels started"] = 1
				h.counted(c.want)
			})
		})
	}
}

func TestAStartThatFailsIsADeathIfThereWasAKernel(t *testing.T) {
	for name, c := range map[string]struct {
		faults faults
		want   map[string]int
	}{
		"none":    {faults{Start: fakehost.ErrUnreachable}, map[string]int{"sessions FAILED": 1}},
		"died":    {faults{Unready: &ergane.Exit{Known: true, Signal: 6}}, map[string]int{"sessions FAILED": 1, "kernels started": 1, "deaths not_ready": 1}},
		"refused": {faults{Refusal: "no"}, map[string]int{"sessions FAILED": 1, "kernels started": 1, "deaths not_ready": 1}},
	} {
		t.Run(name, func(t *testing.T) {
			withHarness(t, session.Config{}, func(h *harness) {
				h.machine.Set(c.faults)
				h.awaitSession(h.begin(), ergane.SessionFailed)
				h.counted(c.want)
			})
		})
	}
}

func TestATerminationDuringTheStartIsNoDeath(t *testing.T) {
	withHarness(t, session.Config{}, func(h *harness) {
		h.machine.Set(faults{ReadyTakes: time.Hour})
		sid := h.begin()
		time.Sleep(time.Second) // of the bubble: the kernel is there
		h.must(terminate(h, sid))
		h.awaitSession(sid, ergane.SessionTerminated)
		h.counted(map[string]int{"sessions TERMINATED": 1, "kernels started": 1})
	})
}

func TestPutsThatAreGivenUpAreCounted(t *testing.T) {
	withHarness(t, session.Config{DeliverFor: time.Millisecond}, func(h *harness) {
		h.unreachable()
		h.undelivered(h.idle())
		h.settled()
		h.meter.mu.Lock()
		defer h.meter.mu.Unlock()
		if n := h.meter.counts["puts failed"]; n < 1 || n > 3 {
			h.Errorf("%d puts were given up", n) // the first ends the other two
		}
		if len(h.meter.took[session.StepDeliver]) != 0 {
			h.Error("what was not delivered took its time")
		}
	})
}

// count is how often something was counted.
func (m *meter) count(c session.Counter, kind string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.counts[string(c)+" "+kind]
}
