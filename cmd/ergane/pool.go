package main

import (
	"errors"
	"fmt"

	"github.com/ergane-dev/ergane/internal/session"
)

// poolFlags say how many kernels wait for sessions with a warm Spark.
type poolFlags struct {
	Pool          int            `help:"How many kernels wait for sessions with the settings of the workgroup primary, which then start at once; 0: none. With --exit-idle there are none." default:"1" env:"ERGANE_POOL" placeholder:"N"`
	PoolWorkgroup map[string]int `help:"The same for a workgroup whose sessions need other kernels: NAME=N; may be repeated." env:"ERGANE_POOL_WORKGROUP" placeholder:"NAME=N"`
	PoolMax       int            `help:"Kernels that wait, in all: when sessions start at about the same time, the pool grows up to that for ten minutes." default:"4" env:"ERGANE_POOL_MAX" placeholder:"N"`
}

func (f poolFlags) check() error {
	if f.Pool < 0 || f.PoolMax < 0 {
		return errors.New("--pool and --pool-max cannot be negative; --pool 0 means no pool")
	}
	for name, n := range f.PoolWorkgroup {
		if n < 0 {
			return fmt.Errorf("--pool-workgroup %s=%d is negative", name, n)
		}
	}
	return nil
}

// pool is the setting for the session manager.
func (f poolFlags) pool() session.Pool {
	all := f.Pool
	for _, n := range f.PoolWorkgroup {
		all += n
	}
	if all == 0 {
		return session.Pool{}
	}
	return session.Pool{Size: f.Pool, WorkGroups: f.PoolWorkgroup, Max: max(f.PoolMax, all)}
}
