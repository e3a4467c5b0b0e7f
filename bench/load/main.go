// Command load measures a server's API from outside: how many calls it
// answers, and how long pages of long lists take. bench/run.py runs it.
//
//	load seed DATA_DIR CALCULATIONS SESSIONS    fills a database that no server has open
//	load calls DATA_DIR SECONDS                 GetSessionStatus, many callers at once
//	load pages DATA_DIR                         the lists, page by page, to their end
//	load crowd DATA_DIR SESSIONS                sessions that live, in a database that no server has open, and their kernels
//	load live DATA_DIR SECONDS                  all kinds of calls, many callers at once, to such sessions
package main

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	switch {
	case len(args) == 4 && args[0] == "seed":
		calculations, err := strconv.Atoi(args[2])
		if err != nil {
			return err
		}
		sessions, err := strconv.Atoi(args[3])
		if err != nil {
			return err
		}
		return seed(args[1], calculations, sessions)
	case len(args) == 3 && args[0] == "calls":
		seconds, err := strconv.ParseFloat(args[2], 64)
		if err != nil {
			return err
		}
		return calls(args[1], time.Duration(seconds*float64(time.Second)))
	case len(args) == 3 && args[0] == "crowd":
		n, err := strconv.Atoi(args[2])
		if err != nil {
			return err
		}
		return crowd(args[1], n)
	case len(args) == 3 && args[0] == "live":
		seconds, err := strconv.ParseFloat(args[2], 64)
		if err != nil {
			return err
		}
		return live(args[1], time.Duration(seconds*float64(time.Second)))
	case len(args) == 2 && args[0] == "pages":
		return pages(args[1])
	}
	return fmt.Errorf("unknown arguments: %s", strings.Join(args, " "))
}

// row prints the median and the 99th percentile, as bench/run.py does.
func row(what string, times []time.Duration) {
	slices.Sort(times)
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	fmt.Printf("%-72s p50 %.2f  p99 %.2f ms  (n=%d)\n", what, ms(times[len(times)/2]), ms(times[min(len(times)-1, len(times)*99/100)]), len(times))
}
