package session_test

import (
	"testing"
	"time"

	"github.com/ergane-dev/ergane"
	"github.com/ergane-dev/ergane/internal/session"
)

func TestExecutorsFollowTheSessionsLife(t *testing.T) {
	inHouse(t, session.Config{}, func(h *house) {
		h.machine.Set(faults{ReadyTakes: time.Minute})
		sid := h.begin()
		h.settled()
		h.executorsAre(sid, map[string]ergane.ExecutorState{"driver": ergane.ExecutorCreating, "kernel": ergane.ExecutorCreating})
		h.awaitSession(sid, ergane.SessionIdle)
		h.executorsAre(sid, map[string]ergane.ExecutorState{"driver": ergane.ExecutorRegistered, "kernel": ergane.ExecutorRegistered})

		h.machine.Executors(sid,
			ergane.SparkExecutor{Name: "driver", Active: true, AddedAt: time.Now()},
			ergane.SparkExecutor{Name: "1", Active: true, AddedAt: time.Now()},
			ergane.SparkExecutor{Name: "2", AddedAt: time.Now(), RemovedAt: time.Now().Add(time.Second)},
			ergane.SparkExecutor{Name: "3", Active: true})
		now := map[string]ergane.ExecutorState{"driver": ergane.ExecutorRegistered, "kernel": ergane.ExecutorRegistered,
			"1": ergane.ExecutorRegistered, "2": ergane.ExecutorTerminated, "3": ergane.ExecutorRegistered}
		h.executorsAre(sid, now)
		h.machine.Executors(sid) // Spark has forgotten
		h.executorsAre(sid, now)

		h.ends(sid, time.Second)
		for name := range now {
			now[name] = ergane.ExecutorTerminated
		}
		h.executorsAre(sid, now)
	})
}

func TestExecutorsOfARunningCalculationAreSeenWithoutAsking(t *testing.T) {
	inHouse(t, session.Config{}, func(h *house) {
		sid := h.idle()
		h.machine.Executors(sid, ergane.SparkExecutor{Name: "1", Active: true, AddedAt: time.Now()}, ergane.SparkExecutor{Name: "2", Active: true, AddedAt: time.Now()})
		cid := h.submit(sid, "sleep 10s\nexit 1")
		time.Sleep(5 * time.Second)
		if n := h.calculation(cid).Statistics.DpuMillis; n < 3*4000 {
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

func TestExecutorsAreListedByState(t *testing.T) {
	inHouse(t, session.Config{}, func(h *house) {
		sid := h.idle()
		h.machine.Executors(sid, ergane.SparkExecutor{Name: "1", AddedAt: time.Now(), RemovedAt: time.Now()})
		es, err := h.m.Executors(h.ctx, sid, ergane.ExecutorTerminated, ergane.Page{Limit: 10})
		if err != nil || len(es) != 1 || es[0].Name != "1" || es[0].Type != ergane.ExecutorWorker {
			h.Errorf("%+v, %v", es, err)
		}
	})
}

func TestExecutorsOfASessionThatNeverStartedHaveFailed(t *testing.T) {
	inHouse(t, session.Config{}, func(h *house) {
		h.machine.Set(faults{Refusal: "no"})
		sid := h.begin()
		h.awaitSession(sid, ergane.SessionFailed)
		h.settled()
		h.executorsAre(sid, map[string]ergane.ExecutorState{"driver": ergane.ExecutorFailed, "kernel": ergane.ExecutorFailed})
	})
}
