package session_test

import (
	"strconv"
	"testing"
	"time"

	"github.com/ergane-dev/ergane"
	"github.com/ergane-dev/ergane/internal/session"
)

func TestExecutorsFollowTheSessionsLife(t *testing.T) {
	withHarness(t, session.Config{}, func(h *harness) {
		h.machine.Set(faults{StartTakes: time.Minute, ReadyTakes: time.Minute})
		sid := h.begin()
		h.settled()
		h.executorsAre(sid, own(ergane.ExecutorCreating))
		time.Sleep(90 * time.Second) // the kernel runs, and Spark starts
		h.executorsAre(sid, own(ergane.ExecutorCreated))
		h.awaitSession(sid, ergane.SessionIdle)
		h.executorsAre(sid, own(ergane.ExecutorRegistered))

		h.machine.Executors(sid, driver, worker("1"), removed("2", byOrder), removed("3", byKill), ergane.SparkExecutor{Name: "4", Active: true})
		now := own(ergane.ExecutorRegistered)
		now["1"], now["2"], now["3"], now["4"] = ergane.ExecutorRegistered, ergane.ExecutorTerminated, ergane.ExecutorFailed, ergane.ExecutorRegistered
		h.executorsAre(sid, now)
		h.executorsAre(sid, now)

		hung := h.submit(sid, "hang")
		h.awaitCalculation(hung, ergane.CalculationRunning)
		_, err := h.m.TerminateSession(h.ctx, sid)
		h.must(err)
		h.settled()
		now["driver"], now["kernel"], now["1"], now["4"] = ergane.ExecutorTerminating, ergane.ExecutorTerminating, ergane.ExecutorTerminating, ergane.ExecutorTerminating
		h.machine.Executors(sid, driver, worker("1"), worker("5"), worker("4"))
		now["5"] = ergane.ExecutorTerminating
		h.executorsAre(sid, now)
		h.awaitSession(sid, ergane.SessionTerminated)
		for name, state := range now {
			if !state.Ended() {
				now[name] = ergane.ExecutorTerminated
			}
		}
		h.executorsAre(sid, now)
		h.kill()
		h.serve()
		h.executorsAre(sid, now)
	})
}

// own are the executors that every session has, all in one state.
func own(state ergane.ExecutorState) map[string]ergane.ExecutorState {
	return map[string]ergane.ExecutorState{"driver": state, "kernel": state}
}

// What Spark reports of a driver and of workers, and its reasons for removing them.
var driver = ergane.SparkExecutor{Name: "driver", Active: true, AddedAt: time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)}

const (
	byOrder = "Executor killed by driver."
	byKill  = "Command exited with code 137"
)

func worker(name string) ergane.SparkExecutor {
	return ergane.SparkExecutor{Name: name, Active: true, AddedAt: time.Now()}
}

func removed(name, why string) ergane.SparkExecutor {
	return ergane.SparkExecutor{Name: name, AddedAt: time.Now(), RemovedAt: time.Now().Add(time.Millisecond), Reason: why}
}

func TestSparkSaysHowAWorkerEnded(t *testing.T) {
	for reason, want := range map[string]ergane.ExecutorState{
		byOrder:                                ergane.ExecutorTerminated,
		"Executor decommission: spot instance": ergane.ExecutorTerminated,
		"":                                     ergane.ExecutorTerminated,
		byKill:                                 ergane.ExecutorFailed,
		"Remote RPC client disassociated. Likely due to containers exceeding thresholds, or network issues.": ergane.ExecutorFailed,
		"Executor heartbeat timed out after 120000 ms":                                                       ergane.ExecutorFailed,
	} {
		t.Run(reason, func(t *testing.T) {
			withHarness(t, session.Config{}, func(h *harness) {
				sid := h.idle()
				h.machine.Executors(sid, driver, worker("1"))
				h.executorsAre(sid, map[string]ergane.ExecutorState{"driver": ergane.ExecutorRegistered, "kernel": ergane.ExecutorRegistered, "1": ergane.ExecutorRegistered})
				h.machine.Executors(sid, driver, removed("1", reason))
				h.executorsAre(sid, map[string]ergane.ExecutorState{"driver": ergane.ExecutorRegistered, "kernel": ergane.ExecutorRegistered, "1": want})
			})
		})
	}
}

func TestTheTimesOfWorkersAreSparksWithinThoseOfTheSession(t *testing.T) {
	withHarness(t, session.Config{}, func(h *harness) {
		sid := h.idle()
		start := h.session(sid).Status.StartedAt
		time.Sleep(15 * time.Minute)
		now := time.Now()
		h.machine.Executors(sid, driver,
			ergane.SparkExecutor{Name: "true", AddedAt: now.Add(-10 * time.Minute), RemovedAt: now.Add(-5 * time.Minute)},
			ergane.SparkExecutor{Name: "early", AddedAt: start.Add(-time.Hour), RemovedAt: start.Add(-time.Minute)},
			ergane.SparkExecutor{Name: "late", AddedAt: now.Add(time.Hour), RemovedAt: now.Add(2 * time.Hour)},
			ergane.SparkExecutor{Name: "endless", Active: true, AddedAt: now.Add(-time.Minute)})
		time.Sleep(time.Minute)
		looked := time.Now()
		h.recorded(sid)
		h.ends(sid, time.Second)
		end := h.session(sid).Status.EndedAt
		for name, want := range map[string][2]time.Time{
			"true":    {now.Add(-10 * time.Minute), now.Add(-5 * time.Minute)},
			"early":   {start, start},
			"late":    {looked, looked},
			"endless": {now.Add(-time.Minute), end},
		} {
			if e := h.recorded(sid)[name]; !e.StartedAt.Equal(want[0]) || !e.TerminatedAt.Equal(want[1]) {
				h.Errorf("%s from %v to %v, want %v", name, e.StartedAt, e.TerminatedAt, want)
			}
		}
	})
}

// recorded are a session's executors by name.
func (h *harness) recorded(sid string) map[string]ergane.Executor {
	h.Helper()
	es, err := h.m.Executors(h.ctx, sid, "", ergane.Page{Limit: 20_000})
	h.must(err)
	all := map[string]ergane.Executor{}
	for _, e := range es {
		all[e.Name] = e
	}
	if len(all) != len(es) {
		h.Errorf("%d executors have %d names", len(es), len(all))
	}
	return all
}

func TestCodeThatStopsSparkTakesItsWorkersWithIt(t *testing.T) {
	withHarness(t, session.Config{}, func(h *harness) {
		sid := h.idle()
		of := func(app, name string) ergane.SparkExecutor {
			e := worker(name)
			e.App = app
			return e
		}
		h.machine.Executors(sid, driver, of("first", "0"), of("first", "1"))
		h.recorded(sid)
		h.machine.Executors(sid, driver, of("second", "0")) // the numbers begin again
		now := own(ergane.ExecutorRegistered)
		now["first/0"], now["first/1"], now["second/0"] = ergane.ExecutorTerminated, ergane.ExecutorTerminated, ergane.ExecutorRegistered
		h.executorsAre(sid, now)
		h.machine.Executors(sid) // no Spark at all
		now["second/0"] = ergane.ExecutorTerminated
		h.executorsAre(sid, now)
	})
}

func TestExecutorsAreNeitherLostNorDoubledByARestart(t *testing.T) {
	withHarness(t, session.Config{}, func(h *harness) {
		sid := h.idle()
		h.machine.Executors(sid, driver, worker("1"), removed("2", byKill))
		before := h.recorded(sid)
		h.kill()
		h.machine.Executors(sid, driver, worker("1"), removed("2", byKill), removed("3", byOrder), worker("4")) // unseen
		h.serve()
		h.settled()
		after := h.recorded(sid)
		for name, e := range before {
			if after[name] != e {
				h.Errorf("%s was %+v and is %+v", name, e, after[name])
			}
		}
		if len(after) != 6 || after["3"].State != ergane.ExecutorTerminated || after["4"].State != ergane.ExecutorRegistered {
			h.Errorf("executors %+v", after)
		}
	})
}

func TestADriverThatDiesLosesItsWorkers(t *testing.T) {
	withHarness(t, session.Config{}, func(h *harness) {
		sid := h.idle()
		h.machine.Executors(sid, driver, worker("1"), removed("2", byOrder))
		h.recorded(sid)
		h.machine.KillDriver(sid)
		h.awaitSession(sid, ergane.SessionDegraded)
		h.settled()
		h.executorsAre(sid, map[string]ergane.ExecutorState{"driver": ergane.ExecutorFailed, "kernel": ergane.ExecutorRegistered,
			"1": ergane.ExecutorFailed, "2": ergane.ExecutorTerminated})
	})
}

func TestForgedExecutorsDoNotFillTheDatabase(t *testing.T) {
	withHarness(t, session.Config{}, func(h *harness) {
		sid := h.idle()
		var many []ergane.SparkExecutor
		for i := range 12_000 {
			many = append(many, worker(strconv.Itoa(i)))
		}
		h.machine.Executors(sid, many...)
		h.recorded(sid)
		most := 2*h.session(sid).Dpus + 8
		if n := len(h.recorded(sid)); n != most {
			h.Errorf("%d executors are recorded, want %d", n, most)
		}
		for round := range 80 { // those are removed, others are added
			var next []ergane.SparkExecutor
			for i := range most {
				next = append(next, worker(strconv.Itoa(round)+"/"+strconv.Itoa(i)))
			}
			h.machine.Executors(sid, next...)
			h.recorded(sid)
		}
		if n := len(h.recorded(sid)); n != most+1000 {
			h.Errorf("%d executors are recorded in the end, want %d", n, most+1000)
		}
	})
}

func TestExecutorsAreListedInPagesAndByState(t *testing.T) {
	withHarness(t, session.Config{}, func(h *harness) {
		sid := h.idle()
		h.machine.Executors(sid, driver, worker("1"), worker("2"), removed("3", byOrder), removed("4", byKill), removed("5", byKill))
		for state, want := range map[ergane.ExecutorState]int{"": 7, ergane.ExecutorCreating: 0, ergane.ExecutorCreated: 0, ergane.ExecutorRegistered: 4,
			ergane.ExecutorTerminating: 0, ergane.ExecutorTerminated: 1, ergane.ExecutorFailed: 2} {
			var p ergane.Page
			p.Limit = 1
			seen := map[string]bool{}
			for range want + 1 {
				es, err := h.m.Executors(h.ctx, sid, state, p)
				h.must(err)
				if len(es) == 0 {
					break
				}
				e := es[0]
				seen[e.Name] = true
				p.After = ergane.Key{At: e.StartedAt, ID: e.ID}
				if state != "" && e.State != state {
					h.Errorf("%s is %s among the %s", e.Name, e.State, state)
				}
			}
			if len(seen) != want {
				h.Errorf("%q: %d executors, want %d", state, len(seen), want)
			}
		}
	})
}

func TestExecutorsOfARunningCalculationAreSeenWithoutAsking(t *testing.T) {
	withHarness(t, session.Config{}, func(h *harness) {
		sid := h.idle()
		h.machine.Executors(sid, ergane.SparkExecutor{Name: "1", Active: true, AddedAt: time.Now()}, ergane.SparkExecutor{Name: "2", Active: true, AddedAt: time.Now()})
		cid := h.submit(sid, "sleep 10s\nexit 1")
		time.Sleep(5 * time.Second)
		if n := h.figures(cid).DpuMillis; n < 3*4000 {
			h.Errorf("%d DPU ms after 5 s with two workers", n)
		}
		h.awaitSession(sid, ergane.SessionFailed)
		h.settled()
		h.executorsAre(sid, map[string]ergane.ExecutorState{"driver": ergane.ExecutorFailed, "kernel": ergane.ExecutorFailed,
			"1": ergane.ExecutorFailed, "2": ergane.ExecutorFailed})
		if n := h.calculation(cid).Statistics.DpuMillis; n < 3*10000 {
			h.Errorf("%d DPU ms for 10 s with two workers", n)
		}
	})
}

func TestWorkersCostOnlyWhileTheyAreThere(t *testing.T) {
	withHarness(t, session.Config{}, func(h *harness) {
		sid := h.idle()
		h.machine.Executors(sid, driver, worker("old"))
		time.Sleep(time.Minute)
		begun := time.Now()
		cid := h.submit(sid, "sleep 100s")
		time.Sleep(10 * time.Second)
		h.machine.Executors(sid, driver,
			ergane.SparkExecutor{Name: "old", AddedAt: begun.Add(-time.Minute), RemovedAt: begun.Add(5 * time.Second)},
			ergane.SparkExecutor{Name: "gone", AddedAt: begun.Add(6 * time.Second), RemovedAt: begun.Add(8 * time.Second)})
		time.Sleep(80 * time.Second)
		h.machine.Executors(sid, driver, worker("new"))
		h.awaitCalculation(cid, ergane.CalculationCompleted)
		if n := h.calculation(cid).Statistics.DpuMillis; n != 100_000+5_000+2_000+10_000 {
			h.Errorf("%d DPU ms", n)
		}
	})
}

func TestProgressNeverFalls(t *testing.T) {
	withHarness(t, session.Config{}, func(h *harness) {
		sid := h.idle()
		cid := h.at(sid, "end", "")
		h.awaitCalculation(cid, ergane.CalculationRunning)
		shows := func(done, total int, want string) {
			h.Helper()
			h.machine.Tasks(sid, done, total)
			time.Sleep(2 * time.Second)
			if got := h.figures(cid).Progress; got != want {
				h.Errorf("%d of %d shows as %s, want %s", done, total, got, want)
			}
		}
		shows(0, 0, "0%")
		shows(1, 10, "10%")
		shows(10, 10, "99%") // it has not ended
		shows(10, 1000, "99%")
		time.Sleep(5 * time.Second) // until it is saved
		h.kill()
		h.serve()
		shows(11, 1000, "99%")
		before := h.figures(cid).DpuMillis
		h.stop() // a server that is not killed saves it when it stops
		if now := h.calculation(cid).Statistics; now.Progress != "99%" || now.DpuMillis < before {
			h.Errorf("the store knows %+v, and %d DPU ms were shown", now, before)
		}
		h.serve()
		h.machine.Let("end")
		h.awaitCalculation(cid, ergane.CalculationCompleted)
		if got := h.calculation(cid).Statistics.Progress; got != "100%" {
			h.Errorf("at the end it is %s", got)
		}
	})
}

func TestExecutorsOfASessionThatNeverStartedHaveFailed(t *testing.T) {
	withHarness(t, session.Config{}, func(h *harness) {
		h.machine.Set(faults{Refusal: "no"})
		sid := h.begin()
		h.awaitSession(sid, ergane.SessionFailed)
		h.settled()
		h.executorsAre(sid, map[string]ergane.ExecutorState{"driver": ergane.ExecutorFailed, "kernel": ergane.ExecutorFailed})
	})
}
