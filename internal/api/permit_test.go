package api

import (
	"reflect"
	"testing"

	"github.com/ergane-dev/ergane/internal/awsjson"
)

// A session's key may only sign calls about its own session; other keys may sign
// all calls.
func TestASessionsKeyMayOnlyCallAboutItsSession(t *testing.T) {
	t.Parallel()
	const own, other = "11111111-2222-4333-8444-555555555555", "99999999-2222-4333-8444-555555555555"
	inside := awsjson.Caller{Principal: awsjson.Principal{Kind: awsjson.PrincipalSession, Name: own}}
	allowed := 0
	for name, op := range (&Service{}).operations() {
		if op.Input == nil {
			continue
		}
		for id, mine := range map[string]bool{own: true, other: false} {
			in := op.Input.New()
			named := reflect.ValueOf(in).Elem().FieldByName("SessionId")
			if named.IsValid() {
				named.Set(reflect.ValueOf(&id))
			}
			err := permit(inside, in)
			if want := named.IsValid() && mine; (err == nil) != want {
				t.Errorf("%s of %s: %v", name, id, err)
			} else if want {
				allowed++
			}
			for _, p := range []awsjson.Principal{{Kind: awsjson.PrincipalRoot}, {Kind: awsjson.PrincipalRole, Name: "arn:r"}} {
				if err := permit(awsjson.Caller{Principal: p}, in); err != nil {
					t.Errorf("%s by %s: %v", name, p, err)
				}
			}
		}
	}
	if err := permit(inside, nil); err == nil {
		t.Error("what names no session is permitted")
	}
	if allowed < 5 {
		t.Errorf("only %d are permitted: this test sees nothing", allowed)
	}
}
