// Package words writes figures for people.
package words

import "fmt"

// Bytes formats a number of bytes: 318 MB.
func Bytes(n int64) string {
	switch {
	case n >= 1e9:
		return fmt.Sprintf("%.1f GB", float64(n)/1e9)
	case n >= 1e6:
		return fmt.Sprintf("%d MB", n/1e6)
	default:
		return fmt.Sprintf("%d kB", (n+999)/1e3)
	}
}

// Percent formats how much of the most is done: 40 %.
func Percent(done, most int64) string { return fmt.Sprintf("%d %%", 100*done/max(most, 1)) }
