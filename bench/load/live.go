package main

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// live calls all that clients call, many at once, of a server with many live
// sessions, which crowd plays, and prints how long each kind of call took.
func live(dataDir string, during time.Duration) error {
	ids, err := liveSessions(dataDir)
	if err != nil {
		return err
	}
	if len(ids) < callers {
		return fmt.Errorf("%d sessions are live, fewer than %d callers", len(ids), callers)
	}
	var mu sync.Mutex
	times := map[string][]time.Duration{}
	var g errgroup.Group
	begun := time.Now()
	for i := range callers {
		g.Go(func() error {
			c, err := dial(dataDir)
			if err != nil {
				return err
			}
			defer c.close()
			// Each has sessions of its own, because a session takes one calculation at a time.
			m := mixed{client: c, ids: ids[i*len(ids)/callers : (i+1)*len(ids)/callers], times: map[string][]time.Duration{}}
			for err == nil && time.Since(begun) < during {
				err = m.next()
			}
			mu.Lock()
			defer mu.Unlock()
			for what, t := range m.times {
				times[what] = append(times[what], t...)
			}
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	var names []string
	var calls []time.Duration
	for what, t := range times {
		names = append(names, what)
		if what != roundTrip {
			calls = append(calls, t...)
		}
	}
	slices.Sort(names)
	for _, what := range names {
		row(what, times[what])
	}
	row(fmt.Sprintf("all of these calls, %d clients at once, %d live sessions", callers, len(ids)), calls)
	return nil
}

// liveSessions are the ids of all that are IDLE.
func liveSessions(dataDir string) ([]string, error) {
	c, err := dial(dataDir)
	if err != nil {
		return nil, err
	}
	defer c.close()
	var ids []string
	for token := ""; ; {
		var got struct {
			Sessions []struct {
				SessionID string `json:"SessionId"`
			}
			NextToken string
		}
		input := `{"WorkGroup":"primary","StateFilter":"IDLE","MaxResults":100`
		if token != "" {
			input += `,"NextToken":"` + token + `"`
		}
		if err := c.call("ListSessions", input+"}", &got); err != nil {
			return nil, err
		}
		for _, s := range got.Sessions {
			ids = append(ids, s.SessionID)
		}
		if token = got.NextToken; token == "" {
			return ids, nil
		}
	}
}

// roundTrip is no call: it is held until there is something to say.
const roundTrip = "a calculation that prints a line: start call to the end seen"

// mixed is one client that does a bit of everything.
type mixed struct {
	*client
	ids   []string
	ended string // the last calculation
	times map[string][]time.Duration
}

func (m *mixed) next() error {
	id := m.ids[rand.IntN(len(m.ids))]
	switch dice := rand.IntN(100); {
	case dice < 10 || m.ended == "":
		return m.calculate(id)
	case dice < 50:
		return m.timed("GetSessionStatus", `{"SessionId":"`+id+`"}`, new(any))
	case dice < 60:
		return m.timed("GetSession", `{"SessionId":"`+id+`"}`, new(any))
	case dice < 70:
		return m.timed("ListSessions", `{"WorkGroup":"primary","MaxResults":100}`, new(any))
	case dice < 80:
		return m.timed("ListCalculationExecutions", `{"SessionId":"`+id+`"}`, new(any))
	case dice < 90:
		return m.timed("GetCalculationExecution", `{"CalculationExecutionId":"`+m.ended+`"}`, new(any))
	}
	return m.timed("GetCalculationExecutionStatus", `{"CalculationExecutionId":"`+m.ended+`"}`, new(any))
}

func (m *mixed) timed(operation, body string, to any) error {
	err := m.call(operation, body, to)
	m.times[operation] = append(m.times[operation], m.took)
	return err
}

func (m *mixed) calculate(session string) error {
	begun := time.Now()
	var made struct{ CalculationExecutionId string }
	if err := m.timed("StartCalculationExecution", `{"SessionId":"`+session+`","CodeBlock":"print 1"}`, &made); err != nil {
		return err
	}
	m.ended = made.CalculationExecutionId
	for {
		var got struct {
			Status struct{ State, StateChangeReason string }
		}
		if err := m.call("GetCalculationExecutionStatus", `{"CalculationExecutionId":"`+m.ended+`"}`, &got); err != nil {
			return err
		}
		switch got.Status.State {
		case "COMPLETED":
			m.times[roundTrip] = append(m.times[roundTrip], time.Since(begun))
			return nil
		case "FAILED", "CANCELED":
			return fmt.Errorf("calculation %s: %+v", m.ended, got.Status)
		}
	}
}
