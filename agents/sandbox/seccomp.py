"""What a program in a sandbox may ask of the kernel, as a filter for bubblewrap. Knows no program.

Nothing here is needed to compute: what reaches a network or other processes, changes what is
mounted or who one is, loads code into the kernel, or sets a clock (systemd's groups of system calls
name the same).
"""

import errno
import tempfile

_CLONE_NEWUSER, _CLONE_THREAD = 0x10000000, 0x10000

_DENIED = (
    "socket socketpair connect bind listen accept accept4 sendto recvfrom sendmsg recvmsg "
    "sendmmsg recvmmsg ptrace process_vm_readv process_vm_writev process_madvise "
    "process_mrelease kcmp pidfd_open pidfd_getfd pidfd_send_signal keyctl add_key request_key "
    "bpf perf_event_open userfaultfd io_uring_setup io_uring_enter io_uring_register unshare "
    "setns mount umount umount2 move_mount open_tree open_tree_attr fsopen fsconfig fsmount "
    "fspick mount_setattr pivot_root chroot swapon swapoff kexec_load kexec_file_load "
    "init_module finit_module delete_module open_by_handle_at name_to_handle_at personality "
    "memfd_create memfd_secret clock_settime clock_adjtime adjtimex settimeofday stime "
    "modify_ldt iopl ioperm vm86 vm86old quotactl quotactl_fd acct reboot syslog sethostname "
    "setdomainname vhangup lookup_dcookie nfsservctl fanotify_init mbind set_mempolicy "
    "migrate_pages move_pages landlock_create_ruleset mknod mknodat mq_open msgget semget "
    "shmget setuid setgid setresuid setresgid setreuid setregid setgroups"
)


def filter_program(*, forks: bool) -> bytes:
    """The filter, as bubblewrap reads it. Without `forks` there are threads and no processes.
    Raises ImportError or OSError where libseccomp is missing."""
    import pyseccomp as libseccomp

    program = libseccomp.SyscallFilter(libseccomp.ALLOW)
    refused = libseccomp.ERRNO(errno.EPERM)
    names = [*_DENIED.split(), *(() if forks else ("fork", "vfork"))]
    for name in names:
        # A system call that this machine has not cannot be made either.
        if libseccomp.resolve_syscall(libseccomp.system_arch(), name) >= 0:
            program.add_rule(refused, name)
    # A user's own namespace, and, without forks, whatever is no thread.
    namespace = libseccomp.Arg(0, libseccomp.MASKED_EQ, _CLONE_NEWUSER, _CLONE_NEWUSER)
    program.add_rule(refused, "clone", namespace)
    if not forks:
        process = libseccomp.Arg(0, libseccomp.MASKED_EQ, _CLONE_THREAD, 0)
        program.add_rule(refused, "clone", process)
    # Its flags lie in memory, where a filter cannot look: libc then takes `clone`.
    program.add_rule(libseccomp.ERRNO(errno.ENOSYS), "clone3")
    with tempfile.TemporaryFile() as file:
        program.export_bpf(file)
        file.seek(0)
        return file.read()
