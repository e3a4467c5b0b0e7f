// Package box runs a command where it can reach nothing beside it: in pid, mount,
// IPC and network namespaces of its own, with a /tmp and /dev/shm of its own, a
// network that is loopback alone, and, where control groups can be made, bounds
// of memory and processes. All that the command leaves running ends with it.
//
// The tests run hostile code, kill things and fill disks; a test that could
// reach the machine would take everything on it along.
package box

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Inside is set in the environment of whatever runs in a box. Tests whose harm
// nothing else bounds look for it.
const Inside = "ERGANE_TEST_BOX"

// A Box is what a command gets.
type Box struct {
	// Dir is where the box's /tmp lies; it is removed at the end.
	Dir string
	// Keep are folders that stay in sight if they lie under /tmp or /dev/shm.
	Keep []string
	// Memory in bytes and Processes bound all of it; 0 is no bound. They hold
	// where control groups can be made.
	Memory, Processes int64
	// Network leaves the machine's network in sight.
	Network bool

	// What the command is given.
	WorkDir        string
	Env            []string
	Stdout, Stderr io.Writer
}

// order is what the box's first process is told to do.
type order struct {
	Tmp     string
	Keep    []string
	Groups  []string
	Network bool
	Argv    []string
}

const initName = "ergane-test-box"

// Main is to be called first by every program that calls Run: the box's first
// process is that program again, and Main does not return there.
func Main() {
	if os.Args[0] != initName {
		return
	}
	status, err := inside()
	if err != nil {
		fmt.Fprintln(os.Stderr, "box: "+err.Error())
	}
	os.Exit(status)
}

// Run runs a command in the box and returns its exit status, 128 and the signal
// where one killed it. The error says that there was no box.
func (b Box) Run(ctx context.Context, argv ...string) (int, error) {
	tmp, err := os.MkdirTemp(b.Dir, "box-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(tmp)
	if err := errors.Join(os.Chmod(tmp, 0o755), os.Mkdir(filepath.Join(tmp, "tmp"), 0o700), os.Chmod(filepath.Join(tmp, "tmp"), 0o777|os.ModeSticky)); err != nil {
		return 0, err
	}
	groups := makeGroups(b.Memory, b.Processes)
	defer removeGroups(groups)
	told, err := json.Marshal(order{Tmp: filepath.Join(tmp, "tmp"), Keep: b.Keep, Groups: groups, Network: b.Network, Argv: argv})
	if err != nil {
		return 0, err
	}
	cmd := exec.CommandContext(ctx, "/proc/self/exe")
	cmd.Args = []string{initName, string(told)}
	cmd.Dir, cmd.Stdout, cmd.Stderr = b.WorkDir, b.Stdout, b.Stderr
	cmd.Env = append(append(os.Environ(), b.Env...), Inside+"=1", "TMPDIR=/tmp")
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWPID | unix.CLONE_NEWNS | unix.CLONE_NEWIPC,
		Pdeathsig:  unix.SIGKILL,
	}
	if !b.Network {
		cmd.SysProcAttr.Cloneflags |= unix.CLONE_NEWNET
	}
	if os.Geteuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= unix.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: os.Getuid(), HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: os.Getgid(), HostID: os.Getgid(), Size: 1}}
		cmd.SysProcAttr.AmbientCaps = []uintptr{unix.CAP_SYS_ADMIN, unix.CAP_NET_ADMIN}
	}
	runtime.LockOSThread() // the signal at the parent's death is the thread's
	defer runtime.UnlockOSThread()
	if err := cmd.Start(); err != nil {
		return 0, fmt.Errorf("no namespaces can be had here: %w", err)
	}
	err = cmd.Wait()
	if ended := (*exec.ExitError)(nil); err != nil && !errors.As(err, &ended) {
		return 0, err
	}
	return status(cmd.ProcessState.Sys().(syscall.WaitStatus)), ctx.Err()
}

func status(ended syscall.WaitStatus) int {
	if ended.Signaled() {
		return 128 + int(ended.Signal())
	}
	return ended.ExitStatus()
}

// inside is the first process of the box: it makes the rest of it, starts the
// command and takes in what is left without a parent.
func inside() (int, error) {
	const failed = 125
	runtime.LockOSThread() // capabilities are the thread's
	var told order
	if err := json.Unmarshal([]byte(os.Args[1]), &told); err != nil {
		return failed, err
	}
	for _, g := range told.Groups {
		if err := os.WriteFile(filepath.Join(g, "cgroup.procs"), []byte("0"), 0); err != nil {
			return failed, err
		}
	}
	if err := mounts(told); err != nil {
		return failed, err
	}
	if !told.Network {
		if err := loopback(); err != nil {
			return failed, fmt.Errorf("bring up loopback: %w", err)
		}
	}
	if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); err != nil {
		return failed, err
	}
	program, err := exec.LookPath(told.Argv[0])
	if err != nil {
		return failed, err
	}
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, unix.SIGTERM, unix.SIGINT, unix.SIGHUP)
	child, err := os.StartProcess(program, told.Argv, &os.ProcAttr{Files: []*os.File{os.Stdin, os.Stdout, os.Stderr}})
	if err != nil {
		return failed, err
	}
	go func() {
		for s := range signals {
			child.Signal(s)
		}
	}()
	for {
		var ended syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &ended, 0, nil)
		switch {
		case errors.Is(err, syscall.EINTR):
		case err != nil:
			return failed, err
		case pid == child.Pid:
			return status(ended), nil // and with this process all others end
		}
	}
}

func mounts(told order) error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("keep mounts to the box: %w", err)
	}
	kept := map[string]int{}
	for _, path := range told.Keep {
		if !strings.HasPrefix(path, "/tmp/") && !strings.HasPrefix(path, "/dev/shm/") {
			continue
		}
		fd, err := unix.Open(path, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if errors.Is(err, unix.ENOENT) {
			continue
		}
		if err != nil {
			return &os.PathError{Op: "open", Path: path, Err: err}
		}
		kept[path] = fd
	}
	if err := unix.Mount(told.Tmp, "/tmp", "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("mount /tmp: %w", err)
	}
	if _, err := os.Stat("/dev/shm"); err == nil {
		if err := unix.Mount("tmpfs", "/dev/shm", "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=1777"); err != nil {
			return fmt.Errorf("mount /dev/shm: %w", err)
		}
	}
	for path, fd := range kept {
		if err := os.MkdirAll(path, 0o755); err != nil {
			return err
		}
		if err := unix.Mount(fmt.Sprintf("/proc/self/fd/%d", fd), path, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
			return fmt.Errorf("keep %s: %w", path, err)
		}
		unix.Close(fd)
	}
	if err := unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	wd, err := os.Getwd() // what is kept is another mount by now
	if err == nil {
		err = os.Chdir(wd)
	}
	return err
}

func loopback() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	lo, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	lo.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, lo)
}
