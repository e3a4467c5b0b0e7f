package session_test

import (
	"errors"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/ergane-dev/ergane"
	"github.com/ergane-dev/ergane/internal/session"
	"github.com/ergane-dev/ergane/internal/store"
)

// pooled is a server that keeps one kernel ahead, and starts the next without a pause.
var pooled = session.Config{Pool: session.Pool{Size: 1, Max: 3, Courtesy: -1}, Hold: time.Second}

// slow is a start that takes so long that a claimed kernel can be told from a started one.
const slow = 10 * time.Second

// waits checks how many kernels wait for a session, once nothing happens any more.
func (h *harness) waits(want int) {
	h.Helper()
	h.settled()
	if got, _ := h.m.Pooled(); got != want {
		h.Errorf("%d kernels wait, want %d", got, want)
	}
}

// filled lets the pool fill itself.
func (h *harness) filled() {
	h.Helper()
	time.Sleep(slow + time.Second)
}

func memory(size string) session.StartRequest {
	return session.StartRequest{WorkGroup: "primary", Engine: ergane.EngineConfiguration{
		SparkProperties: map[string]string{"spark.driver.memory": size},
	}}
}

func (h *harness) startAs(req session.StartRequest) ergane.Session {
	h.Helper()
	s, err := h.m.StartSession(h.ctx, key, req)
	h.must(err)
	return s
}

func TestASessionTakesTheKernelThatWaits(t *testing.T) {
	withFaults(t, pooled, faults{ReadyTakes: slow}, func(h *harness) {
		h.waits(0)
		h.filled()
		h.waits(1)
		begun := time.Now()
		s := h.startAs(session.StartRequest{WorkGroup: "primary"})
		if took := time.Since(begun); s.Status.State != ergane.SessionIdle || took > time.Second {
			t.Errorf("%s after %v", s.Status.State, took)
		}
		if s.WorkingDirectory != "s3://ergane-results/primary/session/"+s.ID {
			t.Errorf("results go to %s", s.WorkingDirectory)
		}
		h.awaitCalculation(h.submit(s.ID, "print x"), ergane.CalculationCompleted)
		h.executorsAre(s.ID, map[string]ergane.ExecutorState{"driver": ergane.ExecutorRegistered, "kernel": ergane.ExecutorRegistered})
		if got := h.machine.Started(); got != 2 { // the next one is being started
			t.Errorf("%d kernels were started", got)
		}
		h.filled()
		h.waits(1)
		if n := h.meter.count(session.CountKernels, "claimed"); n != 1 {
			t.Errorf("%d claims are counted", n)
		}
	})
}

func TestNoKernelIsGivenToTwoSessions(t *testing.T) {
	cfg := pooled
	cfg.Pool = session.Pool{Size: 5, Max: 5}
	cfg.Starts = 4
	withHarness(t, cfg, func(h *harness) {
		h.filled()
		h.waits(5)
		var group sync.WaitGroup
		var mu sync.Mutex
		seen := map[string]bool{}
		for range 20 {
			group.Go(func() {
				s := h.startAs(session.StartRequest{WorkGroup: "primary"})
				mu.Lock()
				defer mu.Unlock()
				if seen[s.ID] {
					t.Errorf("session %s was begun twice", s.ID)
				}
				seen[s.ID] = true
			})
		}
		group.Wait()
		for id := range seen {
			h.awaitSession(id, ergane.SessionIdle)
		}
	})
}

func TestAKernelOfAnotherShapeIsNotTakenAndTheNextSessionFindsOne(t *testing.T) {
	withFaults(t, pooled, faults{ReadyTakes: slow}, func(h *harness) {
		h.filled()
		begun := time.Now()
		h.awaitSession(h.startAs(memory("3g")).ID, ergane.SessionIdle)
		if time.Since(begun) < slow {
			t.Error("it took a kernel of another size")
		}
		h.filled()
		h.waits(2)
		if s := h.startAs(memory("3g")); s.Status.State != ergane.SessionIdle {
			t.Errorf("the second one is %s", s.Status.State)
		}
		time.Sleep(time.Hour) // no session asks for that shape any more
		h.waits(1)
	})
}

func TestARefusedOrRepeatedStartLeavesTheKernelWaiting(t *testing.T) {
	cfg := pooled
	cfg.Limits = ergane.Limits{Sessions: 1}
	withHarness(t, cfg, func(h *harness) {
		h.waits(1)
		req := session.StartRequest{WorkGroup: "primary", Tokens: []ergane.Token{{Scope: "s", Value: "v", Hash: "h"}}}
		first := h.startAs(req)
		h.waits(1)
		if again := h.startAs(req); again.ID != first.ID {
			t.Errorf("the repeated start is session %s, not %s", again.ID, first.ID)
		}
		h.refusedStart(session.StartRequest{WorkGroup: "primary"}, "this server has 1 of 1 sessions, and this one needs 1")
		h.waits(1)
		if got := h.machine.Started(); got != 2 {
			t.Errorf("%d kernels were started", got)
		}
	})
}

func TestTheNextServerAdoptsTheKernels(t *testing.T) {
	withFaults(t, pooled, faults{ReadyTakes: slow}, func(h *harness) {
		h.filled()
		for _, end := range []func(){h.stop, h.kill} {
			end()
			h.serve()
			h.waits(1)
		}
		if s := h.startAs(session.StartRequest{WorkGroup: "primary"}); s.Status.State != ergane.SessionIdle {
			t.Errorf("the session is %s", s.Status.State)
		}
		h.settled()
		if got := h.machine.Started(); got != 2 {
			t.Errorf("%d kernels were started", got)
		}
	})
}

func TestAKernelThatDiesInThePoolIsReplaced(t *testing.T) {
	withHarness(t, pooled, func(h *harness) {
		h.waits(1)
		ids, err := h.machine.Host(h.power).Sessions()
		h.must(err)
		h.machine.Kill(ids[0], ergane.Exit{Known: true, Signal: 9})
		s := h.startAs(session.StartRequest{WorkGroup: "primary"})
		h.awaitSession(s.ID, ergane.SessionIdle)
		if s.ID == ids[0] {
			t.Error("the session has the dead kernel's id")
		}
		h.waits(1)
		if files, _ := h.machine.Has(ids[0]); files {
			t.Error("the dead kernel's files are there")
		}
	})
}

func TestASessionWhoseKernelDiesAtTheClaimGetsAnother(t *testing.T) {
	withHarness(t, pooled, func(h *harness) {
		h.waits(1)
		h.machine.Set(faults{Unclaimed: &ergane.Exit{Known: true, Signal: 11}})
		s := h.startAs(session.StartRequest{WorkGroup: "primary"})
		h.awaitSession(s.ID, ergane.SessionIdle)
		h.awaitCalculation(h.submit(s.ID, "print x"), ergane.CalculationCompleted)
	})
}

func TestWhatSparkRefusesAtTheClaimIsTheSessionsReason(t *testing.T) {
	withHarness(t, pooled, func(h *harness) {
		h.waits(1)
		h.machine.Set(faults{ClaimRefusal: "IllegalArgumentException: no"})
		s := h.startAs(session.StartRequest{WorkGroup: "primary"})
		h.awaitSession(s.ID, ergane.SessionFailed)
		h.sessionIs(s.ID, ergane.SessionFailed, "IllegalArgumentException: no")
		h.settled()
		if h.machine.Alive(s.ID) {
			t.Error("its kernel lives")
		}
	})
}

func TestASessionWhoseStoreFailsAtItsInsertionLosesNothing(t *testing.T) {
	for name, fail := range map[string]func(*harness){
		"not inserted": func(h *harness) { h.store.Fail("CreateSession", 1) },
		"inserted":     func(h *harness) { h.store.Lose("CreateSession", 1) },
	} {
		t.Run(name, func(t *testing.T) {
			withHarness(t, pooled, func(h *harness) {
				h.waits(1)
				fail(h)
				req := session.StartRequest{WorkGroup: "primary", Tokens: []ergane.Token{{Scope: "s", Value: "v", Hash: "h"}}}
				if _, err := h.m.StartSession(h.ctx, key, req); err == nil {
					t.Error("the start did not fail")
				}
				h.settled()
				s := h.startAs(req)
				h.awaitSession(s.ID, ergane.SessionIdle)
				h.waits(1)
				if got := h.machine.Started(); got != 2 {
					t.Errorf("%d kernels were started", got)
				}
			})
		})
	}
}

func TestOldKernelsAreReplaced(t *testing.T) {
	withHarness(t, pooled, func(h *harness) {
		h.waits(1)
		before, err := h.machine.Host(h.power).Sessions()
		h.must(err)
		time.Sleep(5 * time.Hour)
		h.waits(1)
		after, err := h.machine.Host(h.power).Sessions()
		h.must(err)
		if len(after) != 1 || after[0] == before[0] || h.machine.Started() != 2 {
			t.Errorf("%v became %v, %d were started", before, after, h.machine.Started())
		}
	})
}

func TestThePoolGrowsWithDemandAndShrinks(t *testing.T) {
	withHarness(t, pooled, func(h *harness) {
		for range 6 {
			h.begin()
		}
		time.Sleep(time.Minute)
		h.waits(3) // no more than Max
		time.Sleep(time.Hour)
		h.waits(1)
	})
}

func TestSessionsHavePrecedenceOverThePoolWhenMemoryIsShort(t *testing.T) {
	cfg := pooled
	cfg.Limits = ergane.Limits{Memory: 5 << 30}
	cfg.Pool = session.Pool{Size: 2, Max: 3}
	withFaults(t, cfg, faults{Memory: 2 << 30}, func(h *harness) {
		time.Sleep(time.Minute) // of the bubble, in which the pool fills itself
		h.waits(2)
		first := h.idle()
		time.Sleep(time.Minute)
		h.waits(1)
		second := h.idle()
		time.Sleep(time.Minute)
		h.waits(0)
		h.must(terminate(h, first))
		h.must(terminate(h, second))
		time.Sleep(time.Minute)
		h.waits(2)
	})
}

func TestAPoolThatCannotStartKernelsTriesAgainLater(t *testing.T) {
	withHarness(t, pooled, func(h *harness) {
		h.waits(1)
		h.machine.Set(faults{Refusal: "no Spark today"})
		h.idle()
		time.Sleep(10 * time.Minute)
		h.waits(0)
		if got := h.machine.Started(); got > 15 {
			t.Errorf("%d kernels were started", got)
		}
		h.machine.Set(faults{})
		time.Sleep(2 * time.Minute)
		h.waits(1)
	})
}

// A kernel whose session has no row any more may still have run a user's code.
func TestAClaimedKernelNeverWaitsAgain(t *testing.T) {
	withHarness(t, pooled, func(h *harness) {
		h.waits(1)
		time.Sleep(time.Minute) // it is older than the one that follows it
		s := h.startAs(session.StartRequest{WorkGroup: "primary"})
		h.awaitSession(s.ID, ergane.SessionIdle)
		h.kill()
		h.must(h.db.Close())
		db, err := store.Open(h.ctx, filepath.Join(t.TempDir(), "ergane.db")) // a new one takes its place
		h.must(err)
		h.db = db
		h.serve()
		h.waits(1)
		if h.machine.Alive(s.ID) {
			t.Error("the claimed kernel lives on without a session")
		}
	})
}

func TestAKernelThatCannotBeReachedIsNotForgottenWhileItMayLive(t *testing.T) {
	withHarness(t, pooled, func(h *harness) {
		h.waits(1)
		ids, err := h.machine.Host(h.power).Sessions()
		h.must(err)
		h.kill()
		h.machine.Set(faults{Adopt: errors.New("too many open files"), Expel: errors.New("too many open files")})
		h.serve()
		h.settled()
		if files, _ := h.machine.Has(ids[0]); !files || !h.machine.Alive(ids[0]) {
			t.Error("its files were removed while it lived")
		}
		h.machine.Set(faults{})
		time.Sleep(2 * time.Hour) // the reaper looks again
		h.settled()
		if h.machine.Alive(ids[0]) {
			t.Error("it lives on")
		}
		h.waits(1)
	})
}

func TestAWorkGroupThatCannotBePooledDoesNotDisturbThePool(t *testing.T) {
	cfg := pooled
	cfg.Pool.WorkGroups = map[string]int{"jars": 1, "missing": 1}
	withHarness(t, cfg, func(h *harness) {
		jars := ergane.EngineConfiguration{SparkProperties: map[string]string{"spark.jars": "s3://jars/one.jar"}}
		h.workGroup(ergane.WorkGroup{Name: "jars", Configuration: ergane.WorkGroupConfiguration{Engine: &jars}})
		time.Sleep(time.Minute)
		h.waits(1)
	})
}

func TestShapesThatDoNotAllFitDoNotReplaceEachOther(t *testing.T) {
	cfg := pooled
	cfg.Pool = session.Pool{Size: 1, Max: 1, WorkGroups: map[string]int{"large": 1}}
	withHarness(t, cfg, func(h *harness) {
		large := ergane.EngineConfiguration{SparkProperties: map[string]string{"spark.driver.memory": "3g"}}
		h.workGroup(ergane.WorkGroup{Name: "large", Configuration: ergane.WorkGroupConfiguration{Engine: &large}})
		time.Sleep(time.Minute)
		before := h.machine.Started()
		time.Sleep(time.Hour)
		h.waits(1)
		if after := h.machine.Started(); after != before {
			t.Errorf("%d kernels became %d", before, after)
		}
	})
}

func TestTheNextKernelIsStartedAfterTheFirstCalculation(t *testing.T) {
	cfg := pooled
	cfg.Pool.Courtesy = 2 * time.Second
	withHarness(t, cfg, func(h *harness) {
		h.waits(1)
		h.startAs(session.StartRequest{WorkGroup: "primary"})
		time.Sleep(2*time.Second - time.Millisecond)
		h.waits(0)
		time.Sleep(2 * time.Millisecond)
		h.waits(1)
	})
}

func TestASteadyFlowOfClaimsDoesNotPostponeTheNextKernel(t *testing.T) {
	cfg := pooled
	cfg.Pool.Size, cfg.Pool.Courtesy = 2, 2*time.Second
	withHarness(t, cfg, func(h *harness) {
		h.waits(2)
		h.startAs(session.StartRequest{WorkGroup: "primary"})
		time.Sleep(time.Second)
		h.startAs(session.StartRequest{WorkGroup: "primary"})
		h.waits(0)
		time.Sleep(time.Second + time.Millisecond)
		h.settled()
		if got, _ := h.m.Pooled(); got == 0 {
			t.Error("no kernel was started two seconds after the first claim")
		}
	})
}
