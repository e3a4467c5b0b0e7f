package kernel_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/ergane-dev/ergane/internal/kernel"
)

func BenchmarkStart(b *testing.B) {
	for i := range b.N {
		s := serverSpec(fmt.Sprintf("%s/sessions/s%d", b.TempDir(), i), "")
		began := time.Now()
		k, err := kernel.Start(b.Context(), s)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(time.Since(began).Microseconds())/1000, "ms/start")
		k.Shutdown(context.Background(), 0)
		k.Detach()
	}
}

func BenchmarkCalculation(b *testing.B) {
	k, err := kernel.Start(b.Context(), serverSpec(b.TempDir()+"/sessions/s", ""))
	if err != nil {
		b.Fatal(err)
	}
	defer k.Detach()
	defer k.Shutdown(context.Background(), 0)
	if err := k.Ready(b.Context()); err != nil {
		b.Fatal(err)
	}
	for i := range b.N {
		id := fmt.Sprintf("c%d", i)
		if err := k.Exec(b.Context(), id, "print 1"); err != nil {
			b.Fatal(err)
		}
		if _, err := k.Wait(b.Context(), id); err != nil {
			b.Fatal(err)
		}
	}
}
