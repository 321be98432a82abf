<?php
// While this file is there, wp-config.php says that the site is no local one.
