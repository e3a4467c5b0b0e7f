package server

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestAServerThatExitsIdleWaitsForClientsAndSessions(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var a activity
		free := false
		ended := make(chan struct{})
		began := time.Now()
		go func() {
			a.awaitIdle(t.Context(), 3*time.Second, func() bool { return free })
			close(ended)
		}()
		time.Sleep(time.Minute) // a session is live
		free = true
		if !a.enter() { // a client is there
			t.Error("requests are refused too early")
		}
		time.Sleep(time.Minute)
		select {
		case <-ended:
			t.Fatal("it ended during a request")
		default:
		}
		a.add(-1)
		<-ended
		if a.enter() {
			t.Error("a server that ends takes a request")
		}
		if took := time.Since(began); took < 2*time.Minute+3*time.Second || took > 2*time.Minute+5*time.Second {
			t.Errorf("it ended after %s", took)
		}
	})
}
