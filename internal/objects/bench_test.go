package objects_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/ergane-dev/ergane"
)

func BenchmarkPut(b *testing.B) {
	s, dir, _ := embedded(b)
	for _, size := range []int64{100, 64 << 10, 100 << 20} {
		path := filepath.Join(dir, fmt.Sprint(size))
		body := make([]byte, size)
		_, _ = pattern{size}.ReadAt(body, 0)
		if err := os.WriteFile(path, body, 0o600); err != nil {
			b.Fatal(err)
		}
		f, err := os.Open(path)
		if err != nil {
			b.Fatal(err)
		}
		defer f.Close()
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			b.SetBytes(size)
			n := 0
			for b.Loop() {
				n++
				if err := s.Put(b.Context(), fmt.Sprintf("s3://ergane-results/primary/session/%d/stdout", n), f, size, "text/plain", ergane.Delivery{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
