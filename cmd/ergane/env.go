package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/ergane-dev/ergane/internal/credentials"
	"github.com/ergane-dev/ergane/internal/datadir"
	"github.com/ergane-dev/ergane/internal/flock"
)

type envCmd struct{ dirs }

// Help is the long help text.
func (envCmd) Help() string {
	return `Use it as: eval "$(ergane env)"`
}

// Run prints export lines for a POSIX shell.
func (c *envCmd) Run() error {
	if err := c.resolve(); err != nil {
		return err
	}
	info, ok, err := datadir.ReadServer(c.DataDir)
	if err != nil {
		return err
	}
	running, err := flock.Held(datadir.Lock(c.DataDir))
	if err != nil {
		return fmt.Errorf("look for a server: %w", err)
	}
	if !ok || !running {
		return errors.New("no server runs on this data folder; start one with: ergane serve")
	}
	keys, err := credentials.OpenExisting(c.DataDir)
	if err != nil {
		return err
	}
	key, err := clientKey(info, keys.Root())
	if err != nil {
		return err
	}
	// JavaScript's SDK skips the keys when a profile is set, and a session
	// token of another account would be sent along with ours.
	fmt.Println("unset AWS_PROFILE AWS_SESSION_TOKEN")
	for _, v := range info.ClientEnv(key) {
		name, value := cutEnv(v)
		fmt.Printf("export %s=%s\n", name, quote(value))
	}
	return nil
}

// cutEnv splits NAME=value.
func cutEnv(v string) (name, value string) {
	name, value, _ = strings.Cut(v, "=")
	return name, value
}

// quote makes a word for a POSIX shell.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
