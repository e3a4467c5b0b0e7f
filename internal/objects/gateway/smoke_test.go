package gateway_test

import "testing"

func TestSmoke(t *testing.T) {
	s := newServer(t)
	sup := s.start(t, nil)
	c := s.client(t, sup.Endpoint(), nil)
	if err := put(t, c, "ergane-results", "a/b/c", "hello"); err != nil {
		t.Fatal(err)
	}
	if got, err := get(t, c, "ergane-results", "a/b/c"); got != "hello" || err != nil {
		t.Fatal(got, err)
	}
	t.Log(s.handle(t))
}
