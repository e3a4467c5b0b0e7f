package api

import (
	"strings"
	"testing"
	"time"

	"github.com/ergane-dev/ergane"
)

// things are a list's members, newest first.
func things(n int) []ergane.Key {
	var all []ergane.Key
	for i := range n {
		all = append(all, ergane.Key{At: time.UnixMilli(int64(1_700_000_000_000 - i)), ID: strings.Repeat("x", i+1)})
	}
	return all
}

func itself(k ergane.Key) ergane.Key { return k }

func TestAPageTokenLeadsToTheNextPage(t *testing.T) {
	t.Parallel()
	s := &Service{pageKey: []byte("secret")}
	p, err := s.page(new(2), 100, nil, "list")
	if err != nil || p.Limit != 3 || p.After != (ergane.Key{}) {
		t.Fatalf("first page: %+v, %v", p, err)
	}
	shown, next := cut(s, things(3), p, itself, "list")
	if len(shown) != 2 || next == nil {
		t.Fatalf("shown %d, token %v; want 2 and a token", len(shown), next)
	}
	p, err = s.page(new(2), 100, next, "list")
	if want := shown[1]; err != nil || !p.After.At.Equal(want.At) || p.After.ID != want.ID {
		t.Errorf("second page begins after %+v, %v; want %+v", p.After, err, want)
	}
}

func TestTheLastPageHasNoToken(t *testing.T) {
	t.Parallel()
	s := &Service{pageKey: []byte("secret")}
	p, _ := s.page(new(3), 100, nil, "list")
	if shown, next := cut(s, things(3), p, itself, "list"); len(shown) != 3 || next != nil {
		t.Errorf("shown %d, token %v; want 3 and none", len(shown), next)
	}
}

func TestAPageTokenIsValidOnlyForItsList(t *testing.T) {
	t.Parallel()
	s := &Service{pageKey: []byte("secret")}
	p, _ := s.page(new(1), 100, nil, "sessions", "primary", "")
	_, next := cut(s, things(2), p, itself, "sessions", "primary", "")
	first, rest := (*next)[:1], (*next)[1:]
	if first == "A" {
		first = "B"
	} else {
		first = "A"
	}
	for name, try := range map[string]struct {
		service *Service
		token   string
		list    []string
	}{
		"of another list":   {s, *next, []string{"sessions", "other", ""}},
		"of another filter": {s, *next, []string{"sessions", "primary", "IDLE"}},
		"of another server": {&Service{pageKey: []byte("other")}, *next, []string{"sessions", "primary", ""}},
		"changed":           {s, first + rest, []string{"sessions", "primary", ""}},
		"cut short":         {s, (*next)[:8], []string{"sessions", "primary", ""}},
		"empty":             {s, "", []string{"sessions", "primary", ""}},
		"no base64":         {s, "*** not a token ***", []string{"sessions", "primary", ""}},
		"very long":         {s, strings.Repeat("A", 2048), []string{"sessions", "primary", ""}},
	} {
		_, err := try.service.page(nil, 100, &try.token, try.list...)
		if ergane.CodeOf(err) != ergane.CodeInvalid || !strings.HasPrefix(err.Error(), "The nextPageToken is malformed: ") {
			t.Errorf("a token %s: %v", name, err)
		}
	}
}

func TestARefusedTokenIsShownInWholeCharacters(t *testing.T) {
	t.Parallel()
	s := &Service{pageKey: []byte("secret")}
	_, err := s.page(nil, 100, new(strings.Repeat("€", 34)), "list") // 102 bytes
	if want := "The nextPageToken is malformed: " + strings.Repeat("€", 33) + "…"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func FuzzPageToken(f *testing.F) {
	s := &Service{pageKey: []byte("secret")}
	p, _ := s.page(new(1), 100, nil, "list")
	_, next := cut(s, things(2), p, itself, "list")
	f.Add(*next)
	f.Add("AAAA")
	f.Add("B" + (*next)[1:]) // another time, under the same signature
	f.Fuzz(func(t *testing.T, token string) {
		got, err := s.page(nil, 100, &token, "list")
		if err == nil && (got.After.ID != "x" || !got.After.At.Equal(things(1)[0].At)) {
			t.Errorf("a forged token leads to %+v", got.After)
		}
	})
}
