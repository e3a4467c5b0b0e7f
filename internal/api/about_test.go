package api

import (
	"log/slog"
	"reflect"
	"testing"
)

// Every operation that names a session or a calculation names it in the log.
func TestAboutKnowsEveryInputWithAnID(t *testing.T) {
	t.Parallel()
	id, n := "11111111-2222-4333-8444-555555555555", 0
	for name, op := range (&Service{}).operations() {
		if op.Input == nil {
			continue
		}
		in := op.Input.New()
		want := slog.Attr{}
		for field, key := range map[string]string{"SessionId": "session", "CalculationExecutionId": "calculation"} {
			if f := reflect.ValueOf(in).Elem().FieldByName(field); f.IsValid() {
				f.Set(reflect.ValueOf(&id))
				want = slog.String(key, id)
				n++
			}
		}
		if got := about(in); !got.Equal(want) {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
	if n < 10 {
		t.Errorf("only %d have an id: this test sees nothing", n)
	}
}
