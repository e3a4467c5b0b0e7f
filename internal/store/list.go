package store

import (
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/ergane-dev/ergane"
)

// A listing is a list that is paged newest first, of what one owner has. Each
// has two indices: (owner, time, id) and (owner, state, time, id).
type listing struct{ table, columns, owner, time string }

// page is the statement and its arguments for a page of the owner's rows in any
// of the states, or of all rows if none is given. With states it merges their
// ranges of the index: few rows of a state are found at once among a million
// others, and nothing is sorted.
func page[S ~string](l listing, owner string, states []S, p ergane.Page) (string, []any) {
	var args []any
	if p.After == (ergane.Key{}) {
		args = []any{owner, int64(math.MaxInt64), "", p.Limit}
	} else {
		args = []any{owner, p.After.At.UnixMilli(), p.After.ID, p.Limit}
	}
	arm := "SELECT " + l.columns + " FROM " + l.table + " WHERE " + l.owner + " = $1 AND (" + l.time + ", id) < ($2, $3)"
	arms := []string{arm}
	if len(states) > 0 {
		arms = nil
		states = slices.Compact(slices.Sorted(slices.Values(states)))
		for i := range states {
			arms = append(arms, arm+" AND state = $"+strconv.Itoa(len(args)+1+i))
		}
	}
	text := strings.Join(arms, " UNION ALL ") + " ORDER BY " + l.time + " DESC, id DESC LIMIT $4"
	return text, with(args, states)
}
