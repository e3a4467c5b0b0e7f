package engine_test

import (
	"testing"
	"time"

	"github.com/ergane-dev/ergane/internal/engine"
)

func TestProgressSaysWhatHowMuchAndHowLong(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		p            engine.Progress
		what, detail string
	}{
		{engine.Progress{}, "looking for the engine", ""},
		{engine.Progress{Step: "pyspark", What: "downloading PySpark", DoneBytes: 100e6, TotalBytes: 450e6, Left: 20 * time.Second}, "downloading PySpark", "100 MB of 450 MB, about 20s left"},
		{engine.Progress{Step: "archive", What: "starting Spark", DoneBytes: 449e6, TotalBytes: 450e6, Elapsed: 61 * time.Second}, "starting Spark", "(1m1s so far)"},
	} {
		if what, detail := c.p.Words(); what != c.what || detail != c.detail {
			t.Errorf("%+v: %q %q", c.p, what, detail)
		}
	}
}
