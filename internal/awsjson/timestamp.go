package awsjson

import (
	"math"
	"strconv"
	"time"
)

// A Timestamp is a time on the wire: a JSON number of seconds since the epoch,
// with three decimals if it is not a whole second. Finer parts are dropped.
// The zero Timestamp is absent.
type Timestamp time.Time

// IsZero reports whether the timestamp is absent; encoding/json asks it for omitzero.
func (t Timestamp) IsZero() bool { return time.Time(t).IsZero() }

// MarshalJSON writes null for an absent timestamp.
func (t Timestamp) MarshalJSON() ([]byte, error) {
	if t.IsZero() {
		return []byte("null"), nil
	}
	ms := time.Time(t).UnixMilli()
	if ms%1000 == 0 {
		return strconv.AppendInt(nil, ms/1000, 10), nil
	}
	var out []byte
	if ms < 0 {
		out, ms = append(out, '-'), -ms
	}
	out = strconv.AppendInt(out, ms/1000, 10)
	rest := ms % 1000
	return append(out, '.', byte('0'+rest/100), byte('0'+rest/10%10), byte('0'+rest%10)), nil
}

// UnmarshalJSON reads what MarshalJSON writes, and null.
func (t *Timestamp) UnmarshalJSON(text []byte) error {
	if string(text) == "null" {
		*t = Timestamp{}
		return nil
	}
	seconds, err := strconv.ParseFloat(string(text), 64)
	if err != nil {
		return err
	}
	*t = Timestamp(time.UnixMilli(int64(math.Round(seconds * 1000))))
	return nil
}
