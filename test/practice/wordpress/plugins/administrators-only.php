<?php
// Application passwords for administrators alone.
add_filter('wp_is_application_passwords_available_for_user', fn($is, $user) => $is && user_can($user, 'manage_options'), 10, 2);
