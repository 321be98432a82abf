<?php
// What security plugins do: nobody gets an application password.
add_filter('wp_is_application_passwords_available', '__return_false');
