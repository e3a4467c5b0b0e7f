package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/ergane-dev/ergane/internal/credentials"
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
	info, ok, err := readServerInfo(c.DataDir)
	if err != nil {
		return err
	}
	running, err := flock.Held(lockPath(c.DataDir))
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
	for _, v := range clientEnv(info, key) {
		name, value := cutEnv(v)
		fmt.Printf("export %s=%s\n", name, quote(value))
	}
	return nil
}

// clientEnv is the environment in which AWS clients find the server.
func clientEnv(info serverInfo, key credentials.Key) []string {
	env := []string{
		"AWS_ENDPOINT_URL_ATHENA=" + info.API,
		"AWS_ENDPOINT_URL_S3=" + info.S3,
		"AWS_ACCESS_KEY_ID=" + key.AccessKeyID,
		"AWS_SECRET_ACCESS_KEY=" + key.Secret,
		"AWS_REGION=" + info.Region,
		"AWS_DEFAULT_REGION=" + info.Region,
	}
	if info.CertFile != "" {
		env = append(env, "AWS_CA_BUNDLE="+info.CertFile)
	}
	return env
}

// cutEnv splits NAME=value.
func cutEnv(v string) (name, value string) {
	name, value, _ = strings.Cut(v, "=")
	return name, value
}

// quote makes a word for a POSIX shell.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
