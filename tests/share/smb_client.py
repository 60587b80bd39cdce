"""A connection to the share, for the programs that are clients of it."""

from samba.credentials import Credentials
from samba.samba3 import libsmb_samba_internal as libsmb
from samba.samba3 import param


def connect(user, password):
    context = param.get_context()
    context.load("/etc/samba/smb.conf")
    credentials = Credentials()
    credentials.guess(context)
    credentials.set_username(user)
    credentials.set_password(password)
    return libsmb.Conn("127.0.0.1", "scans", lp=context, creds=credentials)
