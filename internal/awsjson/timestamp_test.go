package awsjson_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/ergane-dev/ergane/internal/awsjson"
)

func TestTimestampIsEpochSecondsWithMilliseconds(t *testing.T) {
	t.Parallel()
	type out struct {
		At awsjson.Timestamp `json:"At,omitzero"`
	}
	for want, at := range map[string]time.Time{
		`{}`:                    {},
		`{"At":1700000000}`:     time.Unix(1700000000, 0),
		`{"At":1700000000.120}`: time.Unix(1700000000, 120999999),
		`{"At":1700000000.007}`: time.Unix(1700000000, 7e6),
		`{"At":0}`:              time.Unix(0, 0),
		`{"At":-1.500}`:         time.Unix(-2, 5e8),
	} {
		if got, err := json.Marshal(out{awsjson.Timestamp(at)}); err != nil || string(got) != want {
			t.Errorf("%v: got %s, %v, want %s", at, got, err, want)
		}
	}
}

func TestTimestampReadsWhatItWrites(t *testing.T) {
	t.Parallel()
	for _, at := range []time.Time{{}, time.UnixMilli(1700000000120), time.UnixMilli(1), time.UnixMilli(-1500)} {
		raw, err := json.Marshal(awsjson.Timestamp(at))
		if err != nil {
			t.Fatal(err)
		}
		var got awsjson.Timestamp
		if err := json.Unmarshal(raw, &got); err != nil || !time.Time(got).Equal(at) {
			t.Errorf("%s: got %v, %v, want %v", raw, time.Time(got), err, at)
		}
	}
	var got awsjson.Timestamp
	if err := json.Unmarshal([]byte(`"soon"`), &got); err == nil {
		t.Error("a text is taken for a time")
	}
}
