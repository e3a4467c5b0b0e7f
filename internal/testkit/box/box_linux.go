// Package box runs a command isolated from the machine: in pid, mount, IPC and
// network namespaces of its own, with its own /tmp and /dev/shm, a network with
// only loopback, and, if control groups can be made, limits of memory and
// processes. All processes that the command leaves are killed when it ends.
//
// The tests run hostile code, kill processes and fill disks, which must not harm
// the machine.
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

// Inside is the variable that is set in the environment of a box. Tests that could
// harm the machine run only if it is set.
const Inside = "ERGANE_TEST_BOX"

// A Box describes a box and the surroundings of the command in it.
type Box struct {
	// Dir is the folder in which the box's /tmp is made, and removed at the end.
	Dir string
	// Keep are folders below /tmp or /dev/shm that stay visible.
	Keep []string
	// Memory, in bytes, and Processes are the limits of the box; 0 is no limit. They
	// need control groups.
	Memory, Processes int64
	// Network gives the box the machine's network.
	Network bool

	// Of the command.
	WorkDir        string
	Env            []string
	Stdout, Stderr io.Writer
}

// order is what the box's first process has to do.
type order struct {
	Tmp     string
	Keep    []string
	Groups  []string
	Network bool
	Argv    []string
}

const initName = "ergane-test-box"

// Main must be called first by every program that calls Run: the box's first
// process is the same program, in which Main does not return.
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

// Run runs a command in the box and returns its exit status, or 128 plus the signal
// that killed it. An error means that the box could not be made.
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
	runtime.LockOSThread() // Pdeathsig follows the thread that started the process
	defer runtime.UnlockOSThread()
	if err := cmd.Start(); err != nil {
		return 0, fmt.Errorf("namespaces cannot be created here: %w", err)
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

// inside is the first process of the box: it sets up the rest, starts the command
// and reaps processes whose parent has ended.
func inside() (int, error) {
	const failed = 125
	runtime.LockOSThread() // capabilities are per thread
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
			return status(ended), nil // when this process ends, Linux kills all others in the box
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
	wd, err := os.Getwd() // the folder may be in Keep, which was mounted again
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
