package engine_test

import (
	"context"
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// knobInstall makes this binary a setup on the machine in that folder, for a test to kill.
const knobInstall = "ERGANE_TEST_INSTALL"

func TestMain(m *testing.M) {
	if as := os.Getenv(knobAs); as != "" {
		os.Exit(fakeProgram(as, os.Getenv(knobHome), os.Args[1:]))
	}
	if dir := os.Getenv(knobInstall); dir != "" {
		if _, err := (&machine{dir: dir}).install(context.Background()); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}
