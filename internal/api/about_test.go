package api

import (
	"log/slog"
	"reflect"
	"testing"
)

// Every operation that names a workgroup, a session or a calculation names it in the log.
func TestAboutKnowsEveryInputWithAnID(t *testing.T) {
	t.Parallel()
	id, n := "11111111-2222-4333-8444-555555555555", 0
	for name, op := range (&Service{}).operations() {
		if op.Input == nil {
			continue
		}
		in := op.Input.New()
		want := slog.Attr{}
		for _, named := range [][2]string{{"WorkGroup", "workgroup"}, {"SessionId", "session"}, {"CalculationExecutionId", "calculation"}} {
			f := reflect.ValueOf(in).Elem().FieldByName(named[0])
			if f.IsValid() && f.Type() == reflect.TypeFor[*string]() {
				f.Set(reflect.ValueOf(&id))
				want = slog.String(named[1], id)
				n++
			}
		}
		if f := reflect.ValueOf(in).Elem().FieldByName("Name"); name == "CreateWorkGroup" {
			f.Set(reflect.ValueOf(&id))
			want = slog.String("workgroup", id)
		}
		if got := about(in); !got.Equal(want) {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
	if n < 10 {
		t.Errorf("only %d have an id: this test sees nothing", n)
	}
}
