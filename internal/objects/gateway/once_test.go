package gateway_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
)

func TestACommitOfADeltaTableIsWrittenOnce(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	c := s.client(t, s.start(t, nil).Endpoint(), nil)
	const commit = "tables/t/_delta_log/00000000000000000007.json"
	var first atomic.Int32
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			if err := put(t, c, "bucket", commit, fmt.Sprintf("%d was here", i)); err == nil {
				first.Add(1)
			} else {
				wantError(t, err, 400, "PreconditionFailed")
			}
		})
	}
	all.Wait()
	if n := first.Load(); n != 1 {
		t.Fatalf("%d writers were first", n)
	}
	stored, err := get(t, c, "bucket", commit)
	if err != nil {
		t.Fatal(err)
	}
	if err := put(t, c, "bucket", commit, stored); err != nil {
		t.Errorf("the same content again: %v", err)
	}
	for _, other := range []string{stored + " ", stored[1:], ""} {
		wantError(t, put(t, c, "bucket", commit, other), 400, "PreconditionFailed")
	}
	if again, err := get(t, c, "bucket", commit); err != nil || again != stored {
		t.Errorf("it is %q, %v; want %q", again, err, stored)
	}
	for _, key := range []string{"tables/t/_delta_log/_last_checkpoint", "tables/t/_delta_log/00000000000000000007.checkpoint.parquet", "t/00000000000000000007.json"} {
		for _, content := range []string{"one", "two"} {
			if err := put(t, c, "bucket", key, content); err != nil {
				t.Errorf("%s: %v", key, err)
			}
		}
	}
}
