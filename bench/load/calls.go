package main

import (
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
)

// callers is how many clients call at once.
const callers = 8

// calls asks for a session's status over and over, and prints how often that went.
func calls(dataDir string, during time.Duration) error {
	if _, _, err := callFor(dataDir, during/5); err != nil { // not counted
		return err
	}
	times, took, err := callFor(dataDir, during)
	if err != nil {
		return err
	}
	fmt.Printf("%-72s %.0f calls/s  (n=%d)\n", fmt.Sprintf("GetSessionStatus, %d signed clients at once", callers), float64(len(times))/took.Seconds(), len(times))
	row("GetSessionStatus, the same calls: call to answer", times)
	return nil
}

func callFor(dataDir string, during time.Duration) (all []time.Duration, took time.Duration, err error) {
	clients := make([]*client, callers)
	for i := range clients {
		if clients[i], err = dial(dataDir); err != nil {
			return nil, 0, err
		}
		defer clients[i].close()
	}
	var g errgroup.Group
	times := make([][]time.Duration, callers)
	begun := time.Now()
	for i, c := range clients {
		g.Go(func() error {
			for time.Since(begun) < during {
				var got struct {
					SessionID string `json:"SessionId"`
					Status    struct{ State string }
				}
				if err := c.call("GetSessionStatus", `{"SessionId":"`+longID+`"}`, &got); err != nil {
					return err
				}
				if got.SessionID != longID || got.Status.State != "TERMINATED" {
					return fmt.Errorf("the answer is %+v", got)
				}
				times[i] = append(times[i], c.took)
			}
			return nil
		})
	}
	err = g.Wait()
	took = time.Since(begun)
	for _, t := range times {
		all = append(all, t...)
	}
	return all, took, err
}
